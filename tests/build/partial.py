"""Evidence with less in it: what a server that breaks off, or a deadline, leaves of what would have been seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from scanner.evidence import (
    Attempt,
    ChainEnd,
    Failure,
    FailureReason,
    Hop,
    HttpEvidence,
    HttpProbe,
    Protocol,
    ProtocolOffer,
    TlsEvidence,
    not_run,
)
from tests.build.facts import World

CUT = Failure(FailureReason.DEADLINE, "cut off by the test")
Less = Callable[[World], World]


def attempt_of(value: Any) -> Attempt[Any]:
    return value if isinstance(value, Attempt) else Attempt.ok(value)


def cut_off(world: World) -> World:
    """The world in which all was seen that is seen in this one, but no question was asked to its end."""
    return dataclasses.replace(
        world,
        tls=_map(world.tls, _cut_tls),
        http=_partial(attempt_of(world.http)),
    )


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    attempt = attempt_of(value)
    return attempt if attempt.value is None else dataclasses.replace(attempt, value=change(attempt.value))


def _partial(attempt: Attempt[Any]) -> Attempt[Any]:
    return attempt if attempt.value is None else Attempt.partial(attempt.value, CUT)


def _cut_tls(tls: TlsEvidence) -> TlsEvidence:
    facts = {item.name: getattr(tls, item.name) for item in dataclasses.fields(tls)}
    return dataclasses.replace(
        tls,
        **{name: _partial(value) for name, value in facts.items() if isinstance(value, Attempt)},
        protocols={item: _partial(tls.protocols.get(item, not_run())) for item in Protocol},
        groups={key: _partial(attempt) for key, attempt in tls.groups.items()},
        signature_schemes={key: _partial(attempt) for key, attempt in tls.signature_schemes.items()},
    )


def losses(world: World, of: Container[str] | None = None) -> Iterator[tuple[str, Less]]:
    """Every way in which one fact of a world can get lost, by its name.

    `of` leaves those out that it does not hold, by the names `tls`, `http`, `dns`, and `tls.` with a field's. What other
    targets of an endpoint lose is told in any case.
    """
    tls, http, dns = (attempt_of(value) for value in (world.tls, world.http, world.dns))
    for place, attempt in (("tls", tls), ("http", http), ("dns", dns)):
        if attempt.value is not None and (of is None or place in of):
            yield place, _setting(place, Attempt(failure=CUT))
    if tls.value is not None:
        for name, less in _tls_losses(tls.value, of):
            yield f"tls.{name}", _changing("tls", less)
    if http.value is not None and (of is None or "http" in of):
        for name, less in _http_losses(http.value):
            yield f"http.{name}", _setting("http", less)
    for index, sibling in enumerate(world.siblings):
        for name, less in losses(sibling):
            yield f"sibling {index} {name}", _at_sibling(index, less)


def _setting(place: str, value: Any) -> Less:
    return lambda world: dataclasses.replace(world, **{place: value})


def _changing(place: str, value: Any) -> Less:
    return lambda world: dataclasses.replace(world, **{place: _map(getattr(world, place), lambda _: value)})


def _at_sibling(index: int, less: Less) -> Less:
    def change(world: World) -> World:
        siblings = [less(item) if number == index else item for number, item in enumerate(world.siblings)]
        return dataclasses.replace(world, siblings=siblings)

    return change


def _tls_losses(tls: TlsEvidence, of: Container[str] | None) -> Iterator[tuple[str, TlsEvidence]]:
    for item in dataclasses.fields(tls):
        if of is None or f"tls.{item.name}" in of:
            yield from _field_losses(tls, item.name)
    if of is None or "tls.certificates" in of:
        yield from _certificate_losses(tls)


def _field_losses(tls: TlsEvidence, field: str) -> Iterator[tuple[str, TlsEvidence]]:
    value = getattr(tls, field)
    if isinstance(value, Attempt) and value.value is not None:
        yield field, dataclasses.replace(tls, **{field: Attempt(failure=CUT)})
        yield f"{field} in part", dataclasses.replace(tls, **{field: _partial(value)})
    elif isinstance(value, dict):
        for key, attempt in value.items():
            for name, less in _collection_losses(attempt):
                yield f"{field}.{key}.{name}", dataclasses.replace(tls, **{field: {**value, key: less}})


def _certificate_losses(tls: TlsEvidence) -> Iterator[tuple[str, TlsEvidence]]:
    for name, less in _collection_losses(tls.certificates):
        yield f"certificates.{name}", dataclasses.replace(tls, certificates=less)
    for index, deployment in enumerate(tls.certificates.value or ()):
        for field, nothing in (
            ("tls_scts", None),
            ("paths", ()),
            ("revocation", Attempt(failure=CUT)),
            ("transparency", not_run()),
        ):
            less = dataclasses.replace(deployment, **{field: nothing})
            rest = tuple(less if number == index else item for number, item in enumerate(tls.certificates.value or ()))
            yield f"certificates.{index}.{field}", dataclasses.replace(tls, certificates=Attempt.ok(rest))


def _collection_losses(attempt: Attempt[Any]) -> Iterator[tuple[str, Attempt[Any]]]:
    """The failure, and each part that may have been seen when it came."""
    if attempt.value is None:
        return
    yield "none", Attempt(failure=CUT)
    items = attempt.value.suites if isinstance(attempt.value, ProtocolOffer) else attempt.value
    for name, rest in _parts(items):
        value = ProtocolOffer(rest, attempt.value.server_order) if isinstance(attempt.value, ProtocolOffer) else rest
        yield name, Attempt.partial(value, CUT)


def _parts(items: Iterable[Any]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    everything = tuple(items)
    yield "whole", everything
    for index in range(len(everything)):
        yield f"without {index}", everything[:index] + everything[index + 1 :]
        yield f"up to {index}", everything[:index]


def _http_losses(http: HttpEvidence) -> Iterator[tuple[str, Attempt[HttpEvidence]]]:
    for name, probes in _parts(http.probes):
        yield name, Attempt.partial(HttpEvidence(probes), CUT)
    for index, probe in enumerate(http.probes):
        for number in range(len(probe.hops)):
            less = tuple(
                _broken_at(probe, number) if place == index else item for place, item in enumerate(http.probes)
            )
            yield f"{index} broken at {number}", Attempt.ok(HttpEvidence(less))
            if probe.hops[number].failure is None:
                cut = _cut_in_headers(probe, number)
                less = tuple(cut if place == index else item for place, item in enumerate(http.probes))
                yield f"{index} cut in headers at {number}", Attempt.ok(HttpEvidence(less))


def _broken_at(probe: HttpProbe, number: int) -> HttpProbe:
    hops = (*probe.hops[:number], Hop(probe.hops[number].url, probe.hops[number].method, failure=CUT))
    return dataclasses.replace(probe, hops=hops, end=ChainEnd.FAILURE)


def _cut_in_headers(probe: HttpProbe, number: int) -> HttpProbe:
    """The answer of which only the status line was received."""
    hop = probe.hops[number]
    left = Hop(hop.url, hop.method, hop.status, headers_cut=True, body_truncated=True, incomplete=CUT)
    return dataclasses.replace(probe, hops=(*probe.hops[:number], left), end=ChainEnd.ANSWER)
