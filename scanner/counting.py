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


def said_of_counts(  # noqa: PLR0913  # the six ways in which a verdict is counted, each by its name
    *, not_met: int, notes: int, waived: int, not_assessed: int, met: int, does_not_apply: int
) -> str:
    """How a run is counted, in the words that stand for it everywhere."""
    return (
        f"{not_met} not met, {counted(notes, 'note')}, {waived} waived, {not_assessed} not assessed, {met} met, "
        f"{does_not_apply} {'does' if does_not_apply == 1 else 'do'} not apply"
    )


def noun_of(number: int, one: str, many: str | None = None) -> str:
    """The noun alone, as the number wants it."""
    return one if number == 1 else many or f"{one}s"
