"""Probes: all the network I/O of a scan, and no judgement. One package for each kind of observation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from scanner import dns_library  # noqa: F401  # before any module of the package loads dnspython
from scanner.evidence import Attempt
from scanner.inventory import Endpoint, Environment, StartTls, Target

if TYPE_CHECKING:
    from scanner.probe.net.budget import Budget

T = TypeVar("T")
_CONNECTIONS: Final = 5
_FEW_CONNECTIONS: Final = 2
TLS_AT_ONCE_PORTS: Final = frozenset(port for protocol in StartTls for port in protocol.tls_ports)
"""Where protocols that have STARTTLS elsewhere are spoken inside TLS from the beginning."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What every probe needs to know; it crosses into worker processes, so it holds plain values only.

    Times are in seconds. `deadline_s` bounds all probes of a target together, `timeout_s` one network operation.
    `connections_per_target` limits connections at once to one address; None leaves that to what is spoken there
    (`connections_for`). `rate_per_s` limits new connections a second to one address, `total_rate_per_s` all of them.
    `trust_stores` names the stores that the configuration trusts: `mozilla`, `system`, or paths of PEM files;
    `environment_trust_stores` those of environments that say otherwise. `helo` is what mail servers are greeted with,
    None for an address literal. `proxy` carries every
    connection, and resolves the names; `resolver` is a name server that is asked instead of the system's resolver,
    `validating_resolver` one that checks DNSSEC signatures;
    `source_address` is what is connected from. `headers` are sent with each HTTP
    request besides its own. `fetch_from` names hosts and networks that URLs of scanned hosts may lead to although
    they are not public; `online` is whether certificate authorities are asked. `connect_to` maps "host:port" to
    "ip:port" entries, as `[scan] connect_to` does. `ct_logs` is a file with a list of CT logs, None for the one of the
    package; `published_keys` one with a list of keys whose private halves are public.
    `questions` are the rules of the run's policies that ask something for themselves alone.
    `intrusive` is whether probes may look like attacks.
    """

    timeout_s: float = 5.0
    deadline_s: float = 60.0
    connections_per_target: int | None = None
    rate_per_s: float | None = None
    total_rate_per_s: float | None = None
    engine: Literal["survey", "sslyze"] = "survey"
    trust_stores: tuple[str, ...] = ("mozilla",)
    environment_trust_stores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    connect_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    user_agent: str = "Nightseal"
    contact: str | None = None
    proxy: str | None = None
    source_address: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    resolver: str | None = None
    validating_resolver: str | None = None
    helo: str | None = None
    fetch_from: tuple[str, ...] = ()
    questions: frozenset[str] = frozenset()
    intrusive: bool = True
    online: bool = True
    ct_logs: str | None = None
    published_keys: str | None = None
    max_body_bytes: int = 262_144
    max_redirects: int = 10

    def stores_for(self, environment: str) -> tuple[str, ...]:
        """The trust stores of an environment."""
        return self.environment_trust_stores.get(environment, self.trust_stores)

    @property
    def agent(self) -> str:
        """What servers are told of who scans: the User-Agent header."""
        return f"{self.user_agent} (+{self.contact})" if self.contact else self.user_agent

    @property
    def connections(self) -> int:
        """Connections at once to one address, whatever is spoken there."""
        return self.connections_per_target or _CONNECTIONS

    def connections_for(self, endpoint: Endpoint) -> int:
        """Connections at once to one endpoint at one address: few where servers of its kind count them."""
        protocol = endpoint.starttls
        sparing = endpoint.port in TLS_AT_ONCE_PORTS if protocol is None else protocol.spoken.sparing
        return self.connections_per_target or (_FEW_CONNECTIONS if sparing else _CONNECTIONS)


class Probe(Protocol):
    """Asks targets for one kind of thing."""

    @property
    def name(self) -> Literal["tls", "http", "dns", "plain", "mail", "doors"]:
        """The field of the evidence."""
        ...

    async def observe(self, target: Target, environment: Environment, budget: Budget) -> Attempt[Any]:
        """Ask a target, within the budget that its probes share.

        It ends by itself before the budget's deadline, with what it has seen, and is cut off soon afterwards. It raises
        nothing that a target can bring about.
        """
        ...


class Workers(Protocol):
    """Processes for what blocks, and can't be interrupted: they are ended when they are late."""

    async def run(self, work: Callable[..., T], *arguments: object, budget: Budget) -> T:
        """Have a process do a piece of work, given the arguments and last of all its `RemoteBudget`.

        Waiting for a process costs the target none of its time.

        Raises:
            DeadlineError: it was late, and its process was ended.
            WorkerError: its process died.
        """
        ...


class WorkerError(Exception):
    """A process ended in the middle of its work."""
