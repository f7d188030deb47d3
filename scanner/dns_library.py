"""dnspython without what nobody here asks of it.

Where aioquic and h2 are installed, dnspython loads them to ask name servers over QUIC and HTTPS. Both are needed here
for other things, and are loaded where those are asked for; a scan of one host would load them for nothing, which took a
sixth of what it loads. `scanner.probe` and the reader of zones import this module before they import dnspython.
"""

from __future__ import annotations

import dns._features as features

for _unused in ("doq", "doh"):
    features.force(_unused, enabled=False)
