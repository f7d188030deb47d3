"""What of a run's notification is an owner's: the places that they answer for, with who else does."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from reports.deliver_message import recounted

if TYPE_CHECKING:
    from reports.deliver_message import Entry, Notification, Section
    from scanner.config import Config

    _Change = Callable[[Entry], Entry | None]

Owners = Mapping[str, tuple[str, ...]]
"""Who answers for each endpoint, by its `environment/host:port`: its own owner, and those of its applications."""


def owners_of(config: Config) -> Owners:
    """Who answers for each endpoint of a configuration."""
    return {endpoint.id: endpoint.owners for endpoint in config.inventory.endpoints if endpoint.owners}


def labels_of(config: Config) -> Mapping[str, str]:
    """The labels of each endpoint that has any, by its `environment/host:port`."""
    return {
        endpoint.id: ", ".join(f"{name}={value}" for name, value in endpoint.ownership.labels)
        for endpoint in config.inventory.endpoints
        if endpoint.ownership.labels
    }


def endpoint_in(place: str, known: Collection[str]) -> str | None:
    """The endpoint that a place begins with, where it is a known one: a subject, addresses or an address may follow."""
    if place in known:
        return place
    ends = (found.start() for found in re.finditer(r"[ @]", place))
    return next((place[:end] for end in ends if place[:end] in known), None)


def with_owners(notification: Notification, owners: Owners, labels: Mapping[str, str] | None = None) -> Notification:
    """A notification whose places say who answers for them, and their labels."""
    labels = labels or {}
    known = {*owners, *labels}
    if not known:
        return notification

    def named(place: str) -> str:
        endpoint = endpoint_in(place, known)
        if endpoint is None:
            return place
        said = [f"owner: {', '.join(owners[endpoint])}"] if endpoint in owners else []
        said += [labels[endpoint]] if endpoint in labels else []
        return f"{place} ({'; '.join(said)})"

    return _each(notification, lambda entry: dataclasses.replace(entry, places=tuple(map(named, entry.places))))


def owned(notification: Notification, owner: str, owners: Owners) -> Notification:
    """What of a notification is one owner's. Reports are of everybody's hosts, so none comes along.

    A place that others answer for too says so.
    """

    def theirs(entry: Entry) -> Entry | None:
        places = tuple(_shared(entry.places, owner, owners))
        return dataclasses.replace(entry, places=places) if places else None

    kept = _each(notification, theirs)
    return dataclasses.replace(kept, schedule=f"{notification.schedule}, {owner}", reports=(), links=())


def _shared(places: tuple[str, ...], owner: str, owners: Owners) -> Iterator[str]:
    for place in places:
        endpoint = endpoint_in(place, owners)
        if endpoint is not None and owner in owners[endpoint]:
            others = [name for name in owners[endpoint] if name != owner]
            yield f"{place} (shared with {', '.join(others)}, told too)" if others else place


def _each(notification: Notification, change: _Change) -> Notification:
    changed = (_section(section, change) for section in notification.sections)
    return dataclasses.replace(notification, sections=tuple(section for section in changed if section is not None))


def _section(section: Section, change: _Change) -> Section | None:
    entries = tuple(found for entry in section.entries if (found := change(entry)) is not None)
    if not entries:
        return None
    before, after = (sum(len(entry.places) for entry in of) for of in (section.entries, entries))
    fewer = len(entries) != len(section.entries) or before != after
    return dataclasses.replace(
        section, entries=entries, summary=recounted(section, entries) if fewer else section.summary
    )
