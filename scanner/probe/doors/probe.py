"""Asks what leads to a host beside its port: the DNS's HTTPS records, HTTP/3 where it is advertised, preloading.

Each is asked only where a policy of the run judges it (`ProbeSettings.questions`).
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from scanner.evidence import Attempt, FrontDoors, not_run
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget
from scanner.probe.net.cutoff import cut_off

ECH: Final = "dns.ech"
HTTP3: Final = "https.http3"
LISTED: Final = "https.hsts-listed"


class DoorsProbe(Struct, frozen=True):
    """What leads to a target beside its port."""

    settings: ProbeSettings
    name: Literal["doors"] = "doors"

    async def observe(self, target: Target, _: Environment, budget: Budget) -> Attempt[FrontDoors]:
        """Ask what somebody judges, at endpoints that speak HTTP."""
        asked = frozenset({ECH, HTTP3, LISTED} & self.settings.questions)
        endpoint = target.endpoint
        if not asked or not endpoint.role.speaks_http or endpoint.starttls is not None or target.address is None:
            return not_run()
        from scanner.probe.doors.asking import Doors  # noqa: PLC0415  # QUIC and the list load only where asked for

        async def look() -> Attempt[FrontDoors]:
            return Attempt.ok(await Doors(target, self.settings, budget, asked).look())

        return await cut_off(look(), lambda: budget.deadline, lambda failure: Attempt(failure=failure))
