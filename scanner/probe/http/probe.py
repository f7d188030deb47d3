"""The HTTP probe: what a target answers to requests in plain and inside TLS, at every place that is configured.

Each place is asked by a request of its own, at the target's address, under the configured name: the URLs in the
evidence are those that users have. Certificates are not judged here, and TLS is as tolerant as the library allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, Literal, Self

from msgspec import Struct, structs

from scanner.evidence import (
    Attempt,
    ChainEnd,
    ClientIdentity,
    Echo,
    Failure,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    Purpose,
    not_run,
)
from scanner.inventory import (
    Application,
    ClientCertificate,
    Endpoint,
    Environment,
    HttpsLevel,
    Integration,
    IntegrationKind,
    Target,
)
from scanner.probe import ProbeSettings
from scanner.probe.http.chain import Chain, Follower, RedirectScope, failed_hop
from scanner.probe.http.client import HttpClient
from scanner.probe.http.echo import BREACH, echoes_of, pages_of
from scanner.probe.http.messages import Request
from scanner.probe.http.tls import unissued_certificate, unusable
from scanner.probe.http.url import Url
from scanner.probe.net.budget import Budget
from scanner.probe.net.gate import Address, Gate, Resolve
from scanner.requirements import requirements_of

ROOT: Final = "/"
_PAGE_HEADERS: Final = (("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),)
_ANYTHING: Final = (("Accept", "*/*"),)
_SOAP_HEADERS: Final = (("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", '""'), *_ANYTHING)
_SOAP_ENVELOPE: Final = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body/></soap:Envelope>'
)
_METHODS: Final = {IntegrationKind.SOAP: ("POST",), IntegrationKind.REST: ("GET", "OPTIONS")}
_SUCCESS, _ERROR = 200, 400
HTTP2: Final = "HTTP/2"
_UNASKED: Final = frozenset(
    {
        FailureReason.DEADLINE,
        FailureReason.UNAVAILABLE,
        FailureReason.ENGINE_ERROR,
        FailureReason.PROXY_UNREACHABLE,
    }
)


async def probe_http(  # noqa: PLR0913  # what is asked, and what of the run it shares
    target: Target,
    environment: Environment,
    settings: ProbeSettings,
    scope: frozenset[str],
    *,
    budget: Budget | None = None,
    gate: Gate | None = None,
) -> tuple[Attempt[HttpEvidence], int]:
    """Ask a target for everything that is configured there, and count the TCP connections opened.

    Args:
        target: the endpoint at one address.
        environment: whose settings decide, with the applications', where client certificates are tried.
        settings: bounds and manners. Through a `proxy` the address cannot be pinned: the proxy resolves the name.
        scope: host names that are configured; a redirect to another one is recorded and not followed.
        budget: the target's, shared with its other probes; without one, the settings' limits are for HTTP alone.
        gate: the run's, which judges the addresses of other configured hosts that a redirect leads to; without one,
            public addresses, the target's, and those of `settings.fetch_from` are let through.

    Returns:
        The evidence, in which each request has its own success or failure; incomplete where something was not asked,
        or an answer broke off in its headers. Fails as a whole only where there is nothing to ask: `not-run` at
        endpoints without HTTP, `unresolvable` without an address. Ends before the budget's deadline.
    """
    if not target.endpoint.role.speaks_http or target.endpoint.starttls is not None:
        return Attempt.failed(FailureReason.NOT_RUN, "no HTTP is spoken at this endpoint"), 0
    if target.address is None:
        return Attempt.failed(FailureReason.UNRESOLVABLE), 0
    gate = gate or Gate.of((*settings.fetch_from, target.address.ip))
    client = HttpClient(settings, budget or Budget.alone(settings, target.address.ip), gate)
    with contextlib.ExitStack() as stack:
        questions = tuple(_questions(environment, target.endpoint))
        wrong = None
        if any(question.identity is ClientIdentity.WRONG for question in questions):
            wrong = stack.enter_context(unissued_certificate())
        where = RedirectScope.of(target, target.address, scope, settings.connect_to)
        prober = _Prober(target, where, Follower(client, where, settings.max_redirects), wrong)
        probes = await prober.ask(questions)
        echoes: Attempt[tuple[Echo, ...]] = not_run()
        if BREACH in settings.questions:
            echoes = await echoes_of(client, pages_of(probes), (target.address.ip, target.address.port))
        return Attempt.partial(HttpEvidence(probes, echoes), _cut_off(probes)), client.opened


def _cut_off(probes: Iterable[HttpProbe]) -> Failure | None:
    """Why not everything was asked and heard to its end, None where it was; that nobody answers is an answer."""
    for probe in probes:
        for hop in probe.hops:
            if hop.headers_cut:
                return hop.incomplete
            if hop.failure is not None and hop.failure.reason in _UNASKED:
                return hop.failure
    return None


class WebProbe(Struct, frozen=True):
    """What a target answers over HTTP and HTTPS; `scope` are the host names that are configured."""

    settings: ProbeSettings
    scope: frozenset[str]
    gate: Gate
    name: Literal["http"] = "http"

    @classmethod
    def of(
        cls,
        settings: ProbeSettings,
        hosts: frozenset[str],
        addresses: AbstractSet[Address],
        names: Resolve | None = None,
    ) -> Self:
        """The probe of a run: redirects are followed to its hosts, at its addresses or public ones.

        `addresses` may grow; `names` resolves the run's names as the run has.
        """
        allowed = Gate.of(settings.fetch_from)
        networks = (*allowed.networks, *(ipaddress.ip_network(item) for item in allowed.addresses))
        return cls(settings, hosts, Gate(allowed.hosts, addresses, networks, names))

    async def observe(self, target: Target, environment: Environment, budget: Budget) -> Attempt[HttpEvidence]:
        """Ask a target for everything that is configured there."""
        evidence, _ = await probe_http(target, environment, self.settings, self.scope, budget=budget, gate=self.gate)
        return evidence


class _Question(Struct, frozen=True):
    """One request to be made, and what for. `http2`: over whatever the server prefers, else over HTTP/1.1 alone."""

    scheme: str
    path: str
    purpose: Purpose
    method: str = "GET"
    application: str | None = None
    identity: ClientIdentity = ClientIdentity.NONE
    certificate: ClientCertificate | None = None
    integration: IntegrationKind | None = None
    http2: bool = True

    @property
    def key(self) -> tuple[object, ...]:
        """What the request itself depends on: questions that differ in nothing of it share one."""
        return self.scheme, self.path, self.method, self.integration, self.identity, self.certificate, self.http2


def _questions(environment: Environment, endpoint: Endpoint) -> Iterator[_Question]:
    levels = {
        (item.application, item.path, item.integration): item.level for item in requirements_of(environment, endpoint)
    }
    schemes = ("http", "https") if endpoint.http_port is not None else ("https",)
    for scheme in schemes:
        yield _Question(scheme, ROOT, Purpose.ROOT)
    consoles = [path for _, path in endpoint.console_places if path != ROOT]
    yield from (_Question(scheme, path, Purpose.PATH) for path in consoles for scheme in schemes)
    for application in endpoint.applications:
        asked = [
            _Question("https", path.path, Purpose.PATH, application=application.name) for path in application.paths
        ]
        for integration in application.integrations:
            asked += _of_integration(integration, application.name)
        for question in asked:
            for scheme in schemes:
                yield structs.replace(question, scheme=scheme)
        for question in (_Question("https", ROOT, Purpose.ROOT, application=application.name), *asked):
            level = levels.get((application.name, question.path, question.integration))
            if level is HttpsLevel.TLS_CLIENT_CERTIFICATE:
                yield from _with_certificates(question, application)


def _of_integration(integration: Integration, application: str) -> Iterator[_Question]:
    for method in integration.methods or _METHODS[integration.kind]:
        yield _Question(
            "https",
            integration.path,
            Purpose.INTEGRATION,
            method=method.upper(),
            application=application,
            integration=integration.kind,
        )


def _with_certificates(question: _Question, application: Application) -> Iterator[_Question]:
    if application.client_certificate is not None:
        certificate = application.client_certificate
        yield structs.replace(question, identity=ClientIdentity.CONFIGURED, certificate=certificate)
    yield structs.replace(question, identity=ClientIdentity.WRONG)


class _Prober(Struct, frozen=True):
    target: Target
    scope: RedirectScope
    follower: Follower
    wrong: ClientCertificate | None

    async def ask(self, questions: Iterable[_Question]) -> tuple[HttpProbe, ...]:
        """Ask all questions, the roots first: a port that takes no connection for one path takes none for any."""
        questions = tuple(questions)
        distinct = {question.key: question for question in questions}
        first = {key: item for key, item in distinct.items() if item.path == ROOT and item.method == "GET"}
        chains = await self._gather(first)
        older = tuple(structs.replace(item, http2=False) for key, item in first.items() if _is_http2(chains[key]))
        questions, distinct = (*questions, *older), distinct | {question.key: question for question in older}
        closed = {item.scheme: chains[key] for key, item in first.items() if _is_closed(item, chains[key])}
        chains |= await self._gather({key: item for key, item in distinct.items() if key not in first}, closed)
        probes = [_probe(question, chains[question.key]) for question in questions]
        return tuple(sorted(probes, key=_rank))

    async def _gather(
        self, questions: Mapping[tuple[object, ...], _Question], closed: Mapping[str, Chain] | None = None
    ) -> dict[tuple[object, ...], Chain]:
        async with asyncio.TaskGroup() as group:
            tasks = {
                key: group.create_task(self._chain(question, (closed or {}).get(question.scheme)))
                for key, question in questions.items()
            }
        return {key: task.result() for key, task in tasks.items()}

    async def _chain(self, question: _Question, closed: Chain | None) -> Chain:
        request = self._request(question)
        if closed is not None and closed.hops[0].failure is not None:
            return Chain((failed_hop(request, closed.hops[0].failure),), ChainEnd.FAILURE, connected=False)
        if request.identity is not None and (problem := unusable(request.identity)):
            failure = Failure.of(FailureReason.NOT_RUN, f"the client certificate cannot be used: {problem}")
            return Chain((failed_hop(request, failure),), ChainEnd.FAILURE, connected=False)
        return await self.follower.follow(request)

    def _request(self, question: _Question) -> Request:
        endpoint, address = self.target.endpoint, self.scope.address
        plain = question.scheme == "http"
        nominal = endpoint.http_port if plain else endpoint.port
        actual = address.http_port if plain else address.port
        assert nominal is not None  # noqa: S101  # plain questions are asked only where there is a port for them
        url = Url.of(question.scheme, endpoint.host, nominal, question.path)
        identity = self.wrong if question.identity is ClientIdentity.WRONG else question.certificate
        request = Request(
            question.method,
            url,
            (address.ip, actual if actual is not None else nominal),
            identity=identity,
            # Over HTTP/2 a server cannot ask for a certificate once it has seen the path (RFC 9113 section 9.2.3).
            http2=question.http2 and identity is None,
        )
        if question.integration is None:
            return dataclasses.replace(request, headers=_PAGE_HEADERS)
        if question.integration is IntegrationKind.SOAP and question.method == "POST":
            return dataclasses.replace(request, headers=_SOAP_HEADERS, body=_SOAP_ENVELOPE)
        return dataclasses.replace(request, headers=_ANYTHING)


def _is_closed(question: _Question, chain: Chain) -> bool:
    """Whether the answer to one path holds for the whole port: no connection was made, or none that speaks TLS."""
    if question.identity is not ClientIdentity.NONE or len(chain.hops) > 1:
        return False
    failure = chain.hops[0].failure
    return failure is not None and (not chain.connected or failure.reason is FailureReason.NOT_TLS)


def _is_http2(chain: Chain) -> bool:
    """Whether the port speaks HTTP/2, so that what it says over HTTP/1.1 is a question of its own.

    Headers are often added by what stands in front of a server, and to one of the two versions only.
    """
    return chain.hops[0].http_version == HTTP2


def _probe(question: _Question, chain: Chain) -> HttpProbe:
    return HttpProbe(
        scheme=question.scheme,
        path=question.path,
        purpose=question.purpose,
        hops=chain.hops,
        end=chain.end,
        identity=question.identity,
        application=question.application,
    )


def _rank(probe: HttpProbe) -> int:
    """The order of probes in the evidence: as asked, but of the methods tried at an integration the telling one first.

    That GET is forbidden in plain says little where OPTIONS is answered: `HttpEvidence.find` is to see the latter.
    """
    if probe.purpose is not Purpose.INTEGRATION:
        return 0
    return 1 + _rank_of_answer(probe.first)


def _rank_of_answer(hop: Hop) -> int:
    if hop.status is None:
        return 3
    if _SUCCESS <= hop.status < _ERROR:
        return 0 if hop.location is None else 1
    return 2
