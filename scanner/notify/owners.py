"""What of a run's notification is an owner's: the places that they answer for, with who else does."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import structs

from reports.deliver_message import recounted

if TYPE_CHECKING:
    from reports.deliver_message import Entry, Notification, Section
    from scanner.config.loading import Config
    from scanner.ownership import Ownership

    _Change = Callable[[Entry], Entry | None]

Owners = Mapping[str, tuple[str, ...]]
"""Who answers for each endpoint, by its `environment/host:port`: its own owner, and those of its applications."""


def owners_of(config: Config) -> Owners:
    """Who answers for each endpoint of a configuration."""
    return {endpoint.id: endpoint.owners for endpoint in config.inventory.endpoints if endpoint.owners}


def whose_in_words(config: Config) -> Mapping[str, str]:
    """Who answers for each endpoint, how they are reached, and its labels, by its `environment/host:port`."""
    return {endpoint.id: said for endpoint in config.inventory.endpoints if (said := _in_words(endpoint.whose))}


def contacts_of(config: Config) -> Mapping[str, Mapping[str, str]]:
    """How each owner of an endpoint is reached, by the endpoint and the owner's name."""
    return {
        endpoint.id: {name: contact for name in endpoint.owners if (contact := endpoint.contact_of(name))}
        for endpoint in config.inventory.endpoints
    }


def _in_words(whose: Ownership) -> str:
    said = [f"owner: {', '.join(whose.owners)}"] if whose.owners else []
    said += [f"contact: {', '.join(whose.contacts)}"] if whose.contacts else []
    said += [whose.labels_said(", ")] if whose.labels else []
    return "; ".join(said)


def endpoint_in(place: str, known: Collection[str]) -> str | None:
    """The endpoint that a place begins with, where it is a known one: a subject, addresses or an address may follow."""
    if place in known:
        return place
    ends = (found.start() for found in re.finditer(r"[ @]", place))
    return next((place[:end] for end in ends if place[:end] in known), None)


def with_owners(notification: Notification, whose: Mapping[str, str]) -> Notification:
    """A notification whose places say who answers for them, in the words of `whose_in_words`."""
    if not whose:
        return notification

    def named(place: str) -> str:
        endpoint = endpoint_in(place, whose)
        return place if endpoint is None else f"{place} ({whose[endpoint]})"

    return _each(notification, lambda entry: structs.replace(entry, places=tuple(map(named, entry.places))))


def owned(
    notification: Notification,
    owner: str,
    owners: Owners,
    contacts: Mapping[str, Mapping[str, str]] | None = None,
) -> Notification:
    """What of a notification is one owner's. Reports are of everybody's hosts, so none comes along.

    A place that others answer for too says so, and how these are reached.
    """

    def theirs(entry: Entry) -> Entry | None:
        places = tuple(_shared(entry.places, owner, owners, contacts or {}))
        return structs.replace(entry, places=places) if places else None

    kept = _each(notification, theirs)
    return structs.replace(kept, schedule=f"{notification.schedule}, {owner}", reports=(), links=())


def _shared(
    places: tuple[str, ...], owner: str, owners: Owners, contacts: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    for place in places:
        endpoint = endpoint_in(place, owners)
        if endpoint is not None and owner in owners[endpoint]:
            known = contacts.get(endpoint, {})
            named = {name: f"{name} ({known[name]})" if name in known else name for name in owners[endpoint]}
            others = [said for name, said in named.items() if name != owner]
            yield f"{place} (shared with {', '.join(others)}, told too)" if others else place


def _each(notification: Notification, change: _Change) -> Notification:
    changed = (_section(section, change) for section in notification.sections)
    return structs.replace(notification, sections=tuple(section for section in changed if section is not None))


def _section(section: Section, change: _Change) -> Section | None:
    entries = tuple(found for entry in section.entries if (found := change(entry)) is not None)
    if not entries:
        return None
    before, after = (sum(len(entry.places) for entry in of) for of in (section.entries, entries))
    fewer = len(entries) != len(section.entries) or before != after
    return structs.replace(section, entries=entries, summary=recounted(section, entries) if fewer else section.summary)
