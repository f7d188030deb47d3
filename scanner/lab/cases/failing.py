"""Servers which do not speak TLS at all, or which stop doing so: what a scanner has to survive."""

from scanner.lab.case import Case, Raw, expect
from scanner.lab.http import GOOD_SITE

HANDSHAKES_BEFORE_SILENCE = 6
_UNKNOWN = expect(indeterminate="proto.no-tls1.0 cipher.no-rc4 cert.trusted cert.valid-now")

CASES = (
    Case(
        name="plain-http-on-tls-port",
        description="The TLS port answers plain HTTP",
        engine=Raw("plain-http"),
        plain=GOOD_SITE,
        status="partial",
        expected=expect(fails="https.active https.redirect"),
    ),
    Case(
        name="silent",
        description="Accepts connections and never says anything",
        engine=Raw("silent"),
        plain=None,
        status="unreachable",
        expected=_UNKNOWN,
    ),
    Case(
        name="silent-after-handshakes",
        description=f"Does {HANDSHAKES_BEFORE_SILENCE} handshakes, then accepts and says nothing",
        silent_after=HANDSHAKES_BEFORE_SILENCE,
        status="partial",
        expected=expect("https.redirect"),
    ),
    Case(
        name="dribble",
        description="Sends one byte a second, so no single read ever times out",
        engine=Raw("dribble"),
        plain=None,
        status="unreachable",
        expected=_UNKNOWN,
    ),
    Case(
        name="closed-port",
        description="Refuses connections",
        engine=Raw("closed"),
        plain=None,
        status="unreachable",
        expected=_UNKNOWN,
    ),
    Case(
        name="reset",
        description="Accepts connections and resets them at once",
        engine=Raw("reset"),
        plain=None,
        status="unreachable",
        expected=_UNKNOWN,
    ),
    Case(
        name="garbage",
        description="Answers with random bytes",
        engine=Raw("garbage"),
        plain=None,
        status="partial",
        expected=expect(fails="https.active"),
    ),
)
