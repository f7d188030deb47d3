"""What a source has that the configuration has not, and the reverse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from msgspec import Struct

from scanner.inventory import Application, Endpoint, Inventory

NEW: Final = "new"
GONE: Final = "gone"
CHANGED: Final = "changed"


class Difference(Struct, frozen=True):
    """One endpoint that differs: how, which, and in what."""

    kind: str
    endpoint: str
    details: tuple[str, ...] = ()


def differences(
    source: Inventory,
    configured: Inventory,
    *,
    said: frozenset[str],
    none: str | None,
    of_applications: Mapping[str, AbstractSet[str]],
) -> list[Difference]:
    """Compare a source with what is configured, endpoint by endpoint.

    Args:
        source: its endpoints, in environments.
        configured: those of the configuration.
        said: the keys that the source speaks of at all; what it never says is not compared.
        of_applications: the keys that it says of each application that it names: an empty cell says nothing.
        none: what the source's environment is called that holds what is in none by name: these are looked for in all.
            None where there is no such thing.

    What is gone is told of the environments that the source names; of all, where it names none.

    Returns:
        What is new, then gone, then changed, each in the order of its side.
    """
    theirs = configured.endpoints
    by_place: dict[tuple[str, str, int], Endpoint] = {(item.environment, item.host, item.port): item for item in theirs}
    anywhere: dict[tuple[str, int], list[Endpoint]] = {}
    for item in theirs:
        anywhere.setdefault((item.host, item.port), []).append(item)
    named = {item.environment for item in source.endpoints if item.environment != none}
    compared = named or {item.environment for item in theirs}
    seen: set[str] = set()
    new: list[Difference] = []
    changed: list[Difference] = []
    for item in source.endpoints:
        exact = by_place.get((item.environment, item.host, item.port))
        is_named = item.environment != none
        found = ([exact] if exact else []) if is_named else anywhere.get((item.host, item.port), [])
        if not found:
            new.append(Difference(NEW, item.id if is_named else item.address))
            continue
        known = found[0]
        seen |= {other.id for other in found}
        details = tuple(_details(item, known, said, of_applications))
        if details:
            changed.append(Difference(CHANGED, known.id, details))
    gone = [
        Difference(GONE, item.id)
        for item in theirs
        # Files and an environment's domains are in no list of hosts.
        if item.id not in seen and item.environment in compared and not item.is_file and item.implied_by is None
    ]
    return [*new, *gone, *changed]


def _details(
    new: Endpoint, known: Endpoint, said: frozenset[str], of_applications: Mapping[str, AbstractSet[str]]
) -> Iterator[str]:
    compared: Sequence[tuple[str, Any, Any]] = (
        ("role", new.role, known.role),
        ("starttls", new.starttls, known.starttls),
        ("http_port", new.http_port, known.http_port),
        ("owner", _owners(new), _owners(known)),
        ("contact", new.whose.contact, known.whose.contact),
    )
    for key, value, before in compared:
        if key in said and value is not None and value != before and not (key == "role" and known.consoles):
            yield f"{key} {_told(before)} → {_told(value)}"
    if "labels" in said:
        labels = dict(known.ownership.labels)
        differing = ((name, text) for name, text in new.ownership.labels if labels.get(name) != text)
        yield from (f"label {name} {_told(labels.get(name))} → {text}" for name, text in differing)
    if "paths" in said:
        yield from _of_consoles(new, known)
    apps = {item.name: item for item in known.applications}
    for app in new.applications:
        before = apps.get(app.name)
        if before is None:
            yield f"application {app.name} is new there"
        else:
            yield from _of_application(app, before, of_applications.get(app.name, said))


def _of_consoles(new: Endpoint, known: Endpoint) -> Iterator[str]:
    consoles = {item.role: item for item in known.consoles}
    for console in new.consoles:
        there = consoles.get(console.role)
        if there is None or set(there.paths) != set(console.paths):
            yield f"{console.role}: paths {_listed(there.paths if there else ())} → {_listed(console.paths)}"


def _of_application(new: Application, known: Application, said: AbstractSet[str]) -> Iterator[str]:
    for key in ("kind", "https", "force_https_screens", "force_https_integrations"):
        value, before = getattr(new, key), getattr(known, key)
        if key in said and value != before:
            yield f"{new.name}: {key} {_told(before)} → {_told(value)}"
    paths, there = ({item.path for item in app.paths} for app in (new, known))
    if "paths" in said and paths and paths != there:
        yield f"{new.name}: paths {_listed(there)} → {_listed(paths)}"


def _listed(paths: Iterable[str]) -> str:
    return " ".join(sorted(paths)) or "none"


def _owners(endpoint: Endpoint) -> str | None:
    return ", ".join(dict.fromkeys((*endpoint.owners, *endpoint.ownership.owners))) or None


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)
