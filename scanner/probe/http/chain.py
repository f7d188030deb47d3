"""Follows redirects by hand, hop by hop, and never to where nobody configured the scanner to go."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from msgspec import Struct

from scanner.evidence import ChainEnd, Failure, FailureReason, Hop
from scanner.inventory import Address, Endpoint, Target
from scanner.probe.http.client import HttpClient
from scanner.probe.http.headers import (
    Headers,
    charset_of,
    cookies_of,
    kept_headers,
    refresh_of,
    text_of,
    upgrades_insecure_requests,
    values_of,
)
from scanner.probe.http.messages import NoResponse, Request, Response
from scanner.probe.http.page import URL_LIMIT, Page, absolute, read_page
from scanner.probe.http.url import DEFAULT_PORTS, Url
from scanner.untrusted import printable

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD: Final = frozenset({307, 308})
_MOST_HEADERS: Final = 10
_HSTS_LIMIT: Final = 1000
_PAGE_TYPES: Final = ("text/html", "application/xhtml+xml")


class RedirectScope(Struct, frozen=True):
    """Where requests may go: to the target itself, and to other hosts that are configured.

    `hosts` are names in lower case; `connect_to` is the configuration's map.
    """

    endpoint: Endpoint
    address: Address
    hosts: Collection[str]
    connect_to: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls, target: Target, address: Address, hosts: Collection[str], connect_to: Mapping[str, tuple[str, ...]]
    ) -> RedirectScope:
        """The scope of a target's probes."""
        names = frozenset(name.lower().removesuffix(".") for name in (*hosts, target.endpoint.host))
        return cls(target.endpoint, address, names, connect_to)

    def destination(self, url: Url) -> tuple[str, int] | None:
        """Where to connect for an address, None where nobody configured it.

        The endpoint's own host stays at the target's IP address. Other configured hosts are looked up by name, on the
        ports of HTTP only: a redirect must not make the scanner knock at other doors.
        """
        host = url.host.removesuffix(".")
        if host not in self.hosts:
            return None
        own = host == self.endpoint.host.lower().removesuffix(".")
        if own and url.port == self.endpoint.port:
            return self.address.ip, self.address.port
        if own and self.address.http_port is not None and url.port == self.endpoint.http_port:
            return self.address.ip, self.address.http_port
        mapped = [_split(entry) for entry in self.connect_to.get(f"{host}:{url.port}", ())]
        if mapped:
            return next((entry for entry in mapped if own and entry[0] == self.address.ip), mapped[0])
        if url.port not in DEFAULT_PORTS.values():
            return None
        return (self.address.ip if own else host), url.port


class Chain(Struct, frozen=True):
    """The hops from one start address, and why the following stopped. `connected`: the first connection was made."""

    hops: tuple[Hop, ...]
    end: ChainEnd
    connected: bool = True


class _Step(Struct, frozen=True):
    """An answer, read: the hop, its status, and where it redirects to, if that can be read."""

    hop: Hop
    status: int
    onward: Url | None


class Follower:
    """Follows redirects from one target's addresses, and asks for no page twice.

    Where plain HTTP redirects to is most often a page that is asked for anyway.
    """

    def __init__(self, client: HttpClient, scope: RedirectScope, max_redirects: int) -> None:
        self._client = client
        self._scope = scope
        self._max_redirects = max_redirects
        self._asked: dict[Request, asyncio.Task[_Step | NoResponse]] = {}

    async def step(self, request: Request) -> _Step | NoResponse:
        """Ask, or wait for the answer of who has asked the very same already."""
        if request.method != "GET" or request.identity is not None:
            return await self._ask(request)
        task = self._asked.get(request)
        if task is None:
            task = self._asked[request] = asyncio.create_task(self._ask(request))
        return await task

    async def _ask(self, request: Request) -> _Step | NoResponse:
        outcome = await self._client.send(request)
        if not isinstance(outcome, Response):
            return outcome
        hop, onward = _read(request, outcome, self._scope)
        return _Step(hop, outcome.status, onward)

    async def follow(self, start: Request) -> Chain:
        """Ask for the start address, and for whatever the answers redirect to, as far as that is in scope."""
        return await _follow(start, self.step, self._scope, self._max_redirects)


async def _follow(
    start: Request, ask: Callable[[Request], Awaitable[_Step | NoResponse]], scope: RedirectScope, max_redirects: int
) -> Chain:
    hops: list[Hop] = []
    request, seen = start, {(start.method, start.url)}
    while True:
        step = await ask(request)
        if not isinstance(step, _Step):
            return _stopped(request, step, hops)
        hop, onward = step.hop, step.onward
        hops.append(hop)
        if hop.location is None:
            return Chain(tuple(hops), ChainEnd.ANSWER)
        if onward is None:
            return Chain(tuple(hops), ChainEnd.BAD_LOCATION)
        destination = scope.destination(onward)
        if destination is None:
            return Chain(tuple(hops), ChainEnd.OUT_OF_SCOPE)
        request = _redirected(request, step.status, onward, destination)
        if (request.method, request.url) in seen:
            return Chain(tuple(hops), ChainEnd.LOOP)
        if len(hops) > max_redirects:
            return Chain(tuple(hops), ChainEnd.TOO_MANY)
        seen.add((request.method, request.url))


def _stopped(request: Request, outcome: NoResponse, hops: list[Hop]) -> Chain:
    """The chain that ends with a request which got no answer."""
    if hops and outcome.failure.reason is FailureReason.NOT_ASKED:
        return Chain(tuple(hops), ChainEnd.OUT_OF_SCOPE)  # the gate does not let its address through
    return Chain(
        (*hops, failed_hop(request, outcome.failure)), ChainEnd.FAILURE, connected=outcome.connected or bool(hops)
    )


def failed_hop(request: Request, failure: Failure) -> Hop:
    """The hop of a request that got no response."""
    return Hop(url=printable(str(request.url), URL_LIMIT), method=request.method, failure=failure)


def _redirected(request: Request, status: int, url: Url, destination: tuple[str, int]) -> Request:
    """The next request (RFC 9110 section 15.4). A client certificate is for the first host alone."""
    keeps = status in _KEEPS_METHOD or request.method in {"GET", "HEAD"}
    return dataclasses.replace(
        request,
        method=request.method if keeps else "GET",
        headers=request.headers if keeps else (),
        body=request.body if keeps else b"",
        url=url,
        destination=destination,
        identity=request.identity if url.host == request.url.host else None,
    )


def _read(request: Request, response: Response, scope: RedirectScope) -> tuple[Hop, Url | None]:
    """Turn an answer into evidence; the second value is where it redirects to, if that can be read."""
    headers, url = response.headers, request.url
    location, onward = _location(response, url)
    content_type = _first(headers, b"content-type")
    page = Page()
    if response.body and _is_page(content_type, response.body):
        page = read_page(response.body, url, scope.hosts, charset_of(content_type))
    refresh = refresh_of(_first(headers, b"refresh"))
    policies = [text_of(value) for value in values_of(headers, b"content-security-policy")]
    hop = Hop(
        url=printable(str(url), URL_LIMIT),
        method=request.method,
        status=response.status,
        http_version=printable(response.http_version),
        location=location,
        hsts=tuple(
            printable(value, _HSTS_LIMIT) for value in values_of(headers, b"strict-transport-security")[:_MOST_HEADERS]
        ),
        cookies=cookies_of(headers),
        content_type=printable(content_type),
        server=printable(_first(headers, b"server")),
        body_bytes=len(response.body),
        body_truncated=response.truncated,
        meta_refresh=absolute(url, refresh) if refresh else page.meta_refresh,
        script_redirect=page.script_redirect,
        insecure_references=page.insecure_references,
        upgrade_insecure_requests=page.upgrade_insecure_requests or upgrades_insecure_requests(policies),
        incomplete=response.incomplete,
        headers_cut=response.headers_cut,
        irregularities=response.irregularities,
        certificate_requested=response.certificate_requested,
        headers=kept_headers(headers),
    )
    return hop, onward


def _location(response: Response, url: Url) -> tuple[str | None, Url | None]:
    values = values_of(response.headers, b"location")
    if response.status not in _REDIRECTS or not values:
        return None, None
    text = text_of(values[0])
    # Browsers refuse an answer that names two places: one of them may have been smuggled in.
    onward = url.join(text) if len(set(values)) == 1 else None
    return printable(text if onward is None else str(onward), URL_LIMIT), onward


def _is_page(content_type: str, body: bytes) -> bool:
    """Whether browsers would show the answer as a page; without a type they look at its first characters."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in _PAGE_TYPES if media_type else body.lstrip()[:1] == b"<"


def _first(headers: Headers, name: bytes) -> str:
    values = values_of(headers, name)
    return text_of(values[0]) if values else ""


def _split(entry: str) -> tuple[str, int]:
    """An "ip:port" of the configuration, which has checked it."""
    host, _, port = entry.rpartition(":")
    return host.strip("[]"), int(port)
