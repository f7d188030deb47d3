"""Evidence and facts, built: a server that is right in every way, of which a test changes what it is about."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    Certificate,
    ChainEnd,
    ClientAuthentication,
    ClientIdentity,
    Cookie,
    Deployment,
    DnsEvidence,
    Dnssec,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    LogProgram,
    LogState,
    PathValidation,
    Protocol,
    ProtocolOffer,
    Purpose,
    RevocationAnswer,
    RevocationSource,
    RevocationStatus,
    Robot,
    Sct,
    SctCheck,
    TargetEvidence,
    TlsEvidence,
    Transparency,
    not_run,
)
from scanner.inventory import (
    Address,
    Application,
    Console,
    Endpoint,
    Environment,
    EnvironmentKind,
    Role,
    StartTls,
    Target,
)
from scanner.rules import Facts, Observed, OtherService
from tests.build.certificates import intermediate, leaf, root

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOST = "www.example.com"
HSTS = "max-age=63072000; includeSubDomains"
YES: Attempt[Any] = Attempt.ok(value=True)
NO: Attempt[Any] = Attempt.ok(value=False)
TIMED_OUT: Attempt[Any] = Attempt.failed(FailureReason.TIMED_OUT, "5 s")

GCM = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
GCM_256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
CBC = "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"
TLS13 = "TLS_AES_128_GCM_SHA256"
TLS13_256 = "TLS_AES_256_GCM_SHA384"


def suite(
    name: str, group: str | None = None, bits: int | None = None, prime: str | None = None, **more: Any
) -> AcceptedSuite:
    """An accepted suite; `more` are the other fields of the evidence."""
    return AcceptedSuite(name, group, bits, prime, **more)


def offer(*suites: str | AcceptedSuite, order: bool | None = True) -> Attempt[ProtocolOffer]:
    """What is accepted in a protocol version; elliptic suites use secp256r1 unless they say otherwise."""
    accepted = tuple(
        item if isinstance(item, AcceptedSuite) else suite(item, "secp256r1" if "ECDHE" in item else None)
        for item in suites
    )
    return Attempt.ok(ProtocolOffer(accepted, order if len(accepted) > 1 else None))


def offers(**changes: Attempt[ProtocolOffer]) -> dict[Protocol, Attempt[ProtocolOffer]]:
    """TLS 1.2 and 1.3 with two good suites each, and nothing older. Keys are the protocols with _ for the dot."""
    base = dict.fromkeys(Protocol, offer())
    base |= {Protocol.TLS1_2: offer(GCM, GCM_256), Protocol.TLS1_3: offer(TLS13, TLS13_256)}
    return base | {Protocol(name.replace("_", ".")): value for name, value in changes.items()}


def tls12_only(*suites: str | AcceptedSuite, **changes: Attempt[ProtocolOffer]) -> dict[str, Any]:
    """Changes that leave TLS 1.2 alone, with these suites."""
    return {"protocols": offers(tls1_3=offer(), tls1_2=offer(*(suites or (GCM, GCM_256))), **changes)}


def tls13_only(**changes: Any) -> dict[str, Any]:
    """Changes that leave TLS 1.3 alone."""
    return {"protocols": offers(tls1_2=offer()), **changes}


@functools.cache
def _good_certificate() -> Certificate:
    signed = leaf(HOST, not_before=NOW - timedelta(days=10), days=90)
    return dataclasses.replace(signed, crl_urls=("http://crl.example.com/1.crl",))


def certificate(base: Certificate | None = None, **changes: Any) -> Certificate:
    """The good server certificate, with fields changed."""
    return dataclasses.replace(base or _good_certificate(), **changes)


def trusted(*chain: Certificate, public: bool = True, store: str = "mozilla") -> PathValidation:
    """A path from the chain to the root."""
    path = (*(item.fingerprint for item in chain), root().fingerprint)
    return PathValidation(store, "aa" * 32, trusted=True, path=path, publicly_trusted=public)


def untrusted(missing: tuple[str, ...] = ()) -> PathValidation:
    """No path."""
    return PathValidation("mozilla", "aa" * 32, trusted=False, missing=missing, detail="no path")


def unrevoked(about: Certificate, **changes: Any) -> RevocationAnswer:
    """A list of today that does not hold a certificate, with fields changed."""
    good = RevocationAnswer(
        about.fingerprint,
        RevocationSource.CRL,
        "http://crl.example.com/1.crl",
        status=RevocationStatus.GOOD,
        this_update=NOW - timedelta(days=1),
        next_update=NOW + timedelta(days=3),
        fetched_at=NOW,
        digest="aa" * 32,
    )
    return dataclasses.replace(good, **changes)


GOOD_STATES = {
    LogProgram.GOOGLE: LogState("usable", NOW - timedelta(days=400)),
    LogProgram.APPLE: LogState("usable", NOW - timedelta(days=400)),
}


def sct(number: int, check: SctCheck = SctCheck.VALID, **changes: Any) -> Sct:
    """An SCT of a log of its own; logs of even and of odd numbers have an operator each."""
    known = check is not SctCheck.UNKNOWN_LOG
    good = Sct(
        f"{number:064x}",
        NOW - timedelta(days=10),
        check,
        f"Log {number}" if known else "",
        f"Operator {number % 2}" if known else "",
        GOOD_STATES if known else {},
    )
    return dataclasses.replace(good, **changes)


def logged(*scts: Sct, days: float = 1) -> Attempt[Transparency]:
    """SCTs, verified by a list of so many days ago."""
    return Attempt.ok(Transparency(scts, "a list", NOW - timedelta(days=days)))


def deployment(own: Certificate | None = None, *rest: Certificate, **changes: Any) -> Deployment:
    """The good chain, with fields changed."""
    chain = (own or certificate(embedded_scts=2), *(rest or (intermediate(),)))
    answers: Attempt[Any] = Attempt.ok((unrevoked(chain[0]),))
    good = Deployment(
        chain,
        protocol=Protocol.TLS1_3,
        tls_scts=0,
        paths=(trusted(*chain),),
        revocation=answers,
        transparency=logged(*(sct(number) for number in range(chain[0].embedded_scts))),
    )
    return dataclasses.replace(good, **changes)


@functools.cache
def _good_deployment() -> Deployment:
    return deployment()


@functools.cache
def _good_tls() -> TlsEvidence:
    return TlsEvidence(
        protocols=offers(),
        groups={
            Protocol.TLS1_2: Attempt.ok(("x25519", "secp256r1")),
            Protocol.TLS1_3: Attempt.ok(("x25519mlkem768", "x25519", "secp256r1")),
        },
        signature_schemes={
            Protocol.TLS1_2: Attempt.ok(("ecdsa_secp256r1_sha256",)),
            Protocol.TLS1_3: Attempt.ok(("ecdsa_secp256r1_sha256",)),
        },
        certificates=Attempt.ok((_good_deployment(),)),
        extended_master_secret=YES,
        secure_renegotiation=YES,
        client_renegotiation=NO,
        compression=NO,
        early_data=NO,
        fallback_scsv=YES,
        client_authentication=Attempt.ok(ClientAuthentication.NOT_ASKED),
        heartbleed=NO,
        ccs_injection=NO,
        robot=Attempt.ok(Robot.RSA_NOT_OFFERED),
    )


def tls(*deployments: Deployment, **changes: Any) -> TlsEvidence:
    """The good server's TLS, with fields changed."""
    if deployments:
        changes = {"certificates": Attempt.ok(deployments), **changes}
    if not changes:
        return _good_tls()
    made = dataclasses.replace(_good_tls(), **changes)
    without = set() if Protocol.TLS1_3 in made.negotiated else {Protocol.TLS1_3}
    without |= set() if set(made.negotiated) - {Protocol.TLS1_3} else {Protocol.TLS1_2}
    return dataclasses.replace(
        made,
        **{
            name: {key: value for key, value in getattr(made, name).items() if key not in without}
            for name in ("groups", "signature_schemes")
            if name not in changes  # of what is not negotiated nothing more can be known
        },
    )


def hop(url: str = f"https://{HOST}/", status: int | None = 200, **changes: Any) -> Hop:
    """An answer: over HTTPS a page with HSTS and a good cookie, in plain an empty one."""
    inside = url.startswith("https:")
    base = Hop(
        url,
        status=status,
        http_version="1.1",
        content_type="text/html",
        hsts=(HSTS,) if inside else (),
        cookies=(Cookie("session", secure=True, http_only=True),) if inside else (),
    )
    return dataclasses.replace(base, **changes)


def to(location: str, status: int = 301, url: str = f"http://{HOST}/", **changes: Any) -> Hop:
    """A redirect."""
    return hop(url, status, **{"location": location, "content_type": "", **changes})


def failing(reason: FailureReason, url: str = f"http://{HOST}/") -> Hop:
    """No answer."""
    failure = Attempt.failed(reason, "as the test wants").failure
    return Hop(url, failure=failure)


def probe(*hops: Hop, path: str = "/", purpose: Purpose = Purpose.ROOT, **changes: Any) -> HttpProbe:
    """A chain of answers; its scheme is that of the first."""
    scheme = hops[0].url.partition(":")[0]
    return dataclasses.replace(HttpProbe(scheme, path, purpose, hops, ChainEnd.ANSWER), **changes)


GOOD_PLAIN = probe(to(f"https://{HOST}/"), hop())
GOOD_INSIDE = probe(hop())


def http(*probes: HttpProbe) -> HttpEvidence:
    """The good server's HTTP, or the given probes with the good one for the scheme that none has the root of."""
    given = {item.scheme for item in probes if item.path == "/" and item.identity is ClientIdentity.NONE}
    rest = [item for item in (GOOD_PLAIN, GOOD_INSIDE) if item.scheme not in given]
    return HttpEvidence((*probes, *rest))


@dataclass(frozen=True)
class World:
    """All that facts are made of. Attempts and plain values are both taken for the evidence."""

    tls: Any = field(default_factory=tls)
    http: Any = field(default_factory=http)
    dns: Any = field(default_factory=lambda: DnsEvidence(caa=Attempt.ok(()), dnssec=Attempt.ok(Dnssec.SIGNED)))
    plain: Any = field(default_factory=not_run)
    mail: Any = field(default_factory=not_run)
    doors: Any = field(default_factory=not_run)
    host: str = HOST
    port: int = 443  # a file has none
    role: Role = Role.APPLICATION
    http_port: int | None = 80
    starttls: StartTls | None = None
    applications: tuple[Application, ...] = ()
    consoles: tuple[Console, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    siblings: Iterable[World] = ()
    certificate_users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    prime_users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ticket_users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    other_services: Mapping[str, frozenset[OtherService]] = field(default_factory=dict)
    served: Mapping[str, frozenset[str]] = field(default_factory=dict)
    now: datetime = NOW


def observed(world: World, ip: str = "192.0.2.1") -> Observed:
    """A world's target with its evidence."""
    endpoint = Endpoint(
        "production",
        world.host,
        world.port,
        world.role,
        world.http_port,
        world.starttls,
        world.applications,
        consoles=world.consoles,
    )
    return Observed(
        Target(endpoint, Address(ip, 443, world.http_port)),
        TargetEvidence(
            started_at=NOW,
            duration_s=1.0,
            connections=40,
            tls=_attempt(world.tls),
            http=_attempt(world.http),
            dns=_attempt(world.dns),
            plain=_attempt(world.plain),
            mail=_attempt(world.mail),
            doors=_attempt(world.doors),
        ),
    )


def environment(**changes: Any) -> Environment:
    """The environment `production`, on premises unless it says otherwise."""
    return Environment(**{"name": "production", "kind": EnvironmentKind.ON_PREMISES, **changes})


def facts(world: World) -> Facts:
    """What a rule is given to judge."""
    item = observed(world)
    return Facts(
        target=item.target,
        environment=environment(**world.environment),
        evidence=item.evidence,
        now=world.now,
        siblings=tuple(observed(other, f"192.0.2.{number}") for number, other in enumerate(world.siblings, 2)),
        certificate_users=world.certificate_users,
        prime_users=world.prime_users,
        ticket_users=world.ticket_users,
        other_services=world.other_services,
        served=world.served,
    )


def _attempt(value: Any) -> Attempt[Any]:
    return value if isinstance(value, Attempt) else Attempt.ok(value)
