"""Numbers with their nouns, in English: `1 target`, `2 targets`. `reports.wording` says them in other languages."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    Args:
        number: how many.
        one: the noun in the singular.
        many: its plural, where it is not the singular with an s.
    """
    return f"{number} {noun_of(number, one, many)}"


def noun_of(number: int, one: str, many: str | None = None) -> str:
    """The noun alone, as the number wants it."""
    return one if number == 1 else many or f"{one}s"
