"""Probes: all the network I/O of a scan, and no judgement. One module for each kind of observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What every probe needs to know; it crosses into worker processes, so it holds plain values only.

    Times are in seconds. `deadline_s` bounds all probes of a target together, `timeout_s` one network operation.
    `rate_per_s` limits new connections to one address. `trust_stores` names the stores that the configuration trusts:
    `mozilla`, `system`, or paths of PEM files; `environment_trust_stores` those of environments that say otherwise.
    `helo` is what mail servers are greeted with, None for an address literal.
    `connect_to` maps "host:port" to "ip:port" entries, as `[scan] connect_to` does.
    """

    timeout_s: float = 5.0
    deadline_s: float = 60.0
    connections_per_target: int = 5
    rate_per_s: float | None = None
    engine: Literal["survey", "sslyze"] = "survey"
    trust_stores: tuple[str, ...] = ("mozilla",)
    environment_trust_stores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    connect_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    user_agent: str = "Nightseal"
    contact: str | None = None
    proxy: str | None = None
    helo: str | None = None
    max_body_bytes: int = 262_144
    max_redirects: int = 10

    def stores_for(self, environment: str) -> tuple[str, ...]:
        """The trust stores of an environment."""
        return self.environment_trust_stores.get(environment, self.trust_stores)
