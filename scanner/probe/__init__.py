"""The probes: all of the network's input and output, and no judgement.

Each probe looks at one target under the same settings and gives typed evidence; what it cannot see is a failure in that
evidence, never an exception. `handshake` (sslyze) blocks and runs in worker processes; the others are coroutines.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Engine(StrEnum):
    """What finds out which cipher suites and groups a server accepts."""

    SURVEY = "survey"
    SSLYZE = "sslyze"


MOZILLA = "mozilla"
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class TrustStoreSpec:
    """Which roots to trust: `name` is "mozilla", "system", or, where `pem` is set, what to call that file."""

    name: str
    pem: Path | None = None


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How targets are probed. Goes to worker processes, so all of it can be pickled. Times are in seconds.

    `timeout_s` bounds one network operation, `deadline_s` everything done at one target. `rate_per_s` bounds new
    connections per second to one address, None leaves them unbounded. `proxy` (a URL) is for HTTP requests alone.
    `trust_stores` are those for which `PathValidation`s are made, in that order.
    """

    timeout_s: float = 5.0
    deadline_s: float = 60.0
    connections_per_target: int = 5
    rate_per_s: float | None = None
    engine: Engine = Engine.SURVEY
    trust_stores: tuple[TrustStoreSpec, ...] = (TrustStoreSpec(MOZILLA),)
    user_agent: str = "Nightseal"
    contact: str | None = None
    proxy: str | None = None
    max_body_bytes: int = 262_144
    max_redirects: int = 10

    @property
    def identification(self) -> str:
        """The User-Agent with which the scanner names itself and whom to ask about it."""
        return f"{self.user_agent} (+{self.contact})" if self.contact else self.user_agent
