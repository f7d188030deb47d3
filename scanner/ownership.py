"""Who answers for something, how they are reached, and the labels that it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who answers for something: an owner's name, how to reach them, and labels, sorted by name.

    `shared_with` are others who answer for what is at the same host and port, `reached` how those of them are reached
    of whom that is known, by their names.
    """

    owner: str | None = None
    contact: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    shared_with: tuple[str, ...] = ()
    reached: tuple[tuple[str, str], ...] = ()

    @property
    def owners(self) -> tuple[str, ...]:
        """All who answer for it."""
        return (self.owner, *self.shared_with) if self.owner else ()

    @property
    def contacts(self) -> tuple[str, ...]:
        """How all of them are reached, as far as it is known: in their order, each once."""
        others = dict(self.reached)
        known = (self.contact, *(others.get(name) for name in self.shared_with))
        return tuple(dict.fromkeys(filter(None, known)))

    @property
    def in_cells(self) -> tuple[str, str, str]:
        """Owners, labels and contacts as cells of a table."""
        return "; ".join(self.owners), self.labels_said(" "), "; ".join(self.contacts)

    @property
    def in_words(self) -> str:
        """Owners, contacts and labels on one line, as far as any of it is known."""
        return " · ".join(filter(None, (", ".join(self.owners), ", ".join(self.contacts), self.labels_said(" "))))

    def labels_said(self, between: str) -> str:
        """The labels in one text."""
        return between.join(f"{name}={value}" for name, value in self.labels)

    def merged(self, other: Ownership) -> Ownership:
        """Of both, where two things share a host: the first's where both say something, but all their owners.

        A contact is that of the owner beside whom it is, never another's.
        """
        first, *others = dict.fromkeys((*self.owners, *other.owners)) or (None,)
        said = {name: contact for item in (other, self) for name, contact in item.by_owner}
        return Ownership(
            first,
            said.get(first) if first else self.contact or other.contact,
            tuple(sorted({**dict(other.labels), **dict(self.labels)}.items())),
            tuple(filter(None, others)),
            tuple((name, said[name]) for name in others if name and name in said),
        )

    @property
    def by_owner(self) -> tuple[tuple[str, str], ...]:
        """How each owner is reached of whom that is known."""
        return ((self.owner, self.contact), *self.reached) if self.owner and self.contact else self.reached


NOBODY: Final = Ownership()
"""Of what nothing is said."""
