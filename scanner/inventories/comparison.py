"""What a source has that the configuration has not, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scanner.inventory import Endpoint, Inventory

NEW: Final = "new"
GONE: Final = "gone"
CHANGED: Final = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One endpoint that differs: how, which, and in what."""

    kind: str
    endpoint: str
    details: tuple[str, ...] = ()


def differences(
    source: Inventory, configured: Inventory, *, said: frozenset[str], none: str | None
) -> list[Difference]:
    """Compare a source with what is configured, endpoint by endpoint.

    Args:
        source: its endpoints, in environments.
        configured: those of the configuration.
        said: the keys that the source speaks of at all; what it never says is not compared.
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
        details = tuple(_details(item, known, said))
        if details:
            changed.append(Difference(CHANGED, known.id, details))
    gone = [Difference(GONE, item.id) for item in theirs if item.id not in seen and item.environment in compared]
    return [*new, *gone, *changed]


def _details(new: Endpoint, known: Endpoint, said: frozenset[str]) -> Iterator[str]:
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
        for name, text in new.ownership.labels:
            if labels.get(name) != text:
                yield f"label {name} {_told(labels.get(name))} → {text}"
    apps = {item.name: item for item in known.applications}
    for app in new.applications:
        before = apps.get(app.name)
        if before is None:
            yield f"application {app.name} is new there"
        elif before.kind != app.kind and "kind" in said:
            yield f"{app.name}: kind {before.kind} → {app.kind}"
        elif before.https != app.https and "https" in said:
            yield f"{app.name}: https {before.https} → {app.https}"


def _owners(endpoint: Endpoint) -> str | None:
    return ", ".join(dict.fromkeys((*endpoint.owners, *endpoint.ownership.owners))) or None


def _told(value: Any) -> str:
    return "none" if value is None else str(value)
