"""Every target of a large run on paper: those that came out alike stand together, and each is named there.

A row of a table for each of ten thousand targets fills hundreds of pages that nobody reads. Here what was found is said
once for all of an environment at which it is so; a page then holds some hundred names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from reports.language import short_day
from reports.view.index import anchor_of
from reports.view.model import TargetView
from reports.view.standing import Standing, Tally
from scanner.verdict import Goal, Severity, TargetStatus

MOST_GROUPS: Final = 200
"""Where more groups would be needed to have what was found alike in all of each, goals alone decide what is alike."""
LINE: Final = 118
"""Characters of a line of names on paper."""
_GAP: Final = "   "
_LINES: Final = 24
"""Lines of names that are one paragraph: the time to lay one out grows with the square of its length."""

_ORDER: Final = (Standing.FAILED, Standing.UNKNOWN, Standing.WAIVED, Standing.COMPLIANT, Standing.EMPTY)
_Key = tuple[object, ...]


class TargetGroup(Struct, frozen=True):
    """Targets of an environment that came out alike. A rule stands with how many of them it is about.

    `marks` are the goals as a table shows them, `error` is why nothing of the targets was seen; empty where it was.
    """

    anchor: str
    environment: str
    standing: Standing
    error: str
    marks: Mapping[Goal, str]
    protocols: tuple[str, ...]
    failed: tuple[tuple[str, int], ...]
    waived: tuple[tuple[str, int], ...]
    unknown: tuple[tuple[str, int], ...]
    targets: tuple[TargetView, ...]

    def lines(self, width: int = LINE) -> tuple[str, ...]:
        """The targets in columns, each with its grade and the day on which its certificate ends; a few lines at a time.

        They are read from left to right. A name that is longer than a line has a line of its own.
        """
        return tuple(in_columns([_entry(target) for target in self.targets], width))


def groups_of(targets: Sequence[TargetView], most: int = MOST_GROUPS) -> tuple[TargetGroup, ...]:
    """Group targets: what failed, was waived or stayed unknown is the same in all of a group, if that is few enough.

    Groups stand in the order of the environments of `targets`; in each, what needs attention comes first.
    """
    fine = _grouped(targets, _as_found)
    return _groups(fine if len(fine) <= most else _grouped(targets, _by_goals))


def anchors_of(groups: Iterable[TargetGroup]) -> dict[str, str]:
    """The anchor of the group that names a target, by the target's own."""
    return {target.ref.anchor: group.anchor for group in groups for target in group.targets}


def in_columns(entries: Sequence[tuple[str, str]], width: int = LINE) -> Iterable[str]:
    """Names, each with what is said of it, side by side in as many columns as a line has room for."""
    names, told = (max((len(entry[part]) for entry in entries), default=0) for part in (0, 1))
    wide = names + 1 + told
    columns = max(1, (width + len(_GAP)) // (wide + len(_GAP)))
    cell = width // columns if columns > 1 else 0
    cells = [f"{f'{name:<{names if cell else 0}} {said}':<{cell}}" for name, said in entries]
    rows = ["".join(cells[start : start + columns]).rstrip() for start in range(0, len(cells), columns)]
    for start in range(0, len(rows), _LINES):
        yield "\n".join(rows[start : start + _LINES])


def _entry(target: TargetView) -> tuple[str, str]:
    ends = short_day(target.certificate.not_after.date()) if target.certificate else ""
    came_from = f" ({target.implied_by})" if target.implied_by else ""
    return f"{target.ref.label}{came_from}", f"{target.grade or '–':<2} {ends}".rstrip()


def _grouped(targets: Sequence[TargetView], key: Callable[[TargetView], _Key]) -> list[list[TargetView]]:
    groups: dict[_Key, list[TargetView]] = defaultdict(list)
    for target in targets:
        groups[target.ref.environment, *key(target)].append(target)
    return list(groups.values())


def _as_found(target: TargetView) -> _Key:
    """What a table would show of a target, but for its name and certificate."""
    return (
        *_by_goals(target),
        target.protocols,
        tuple(target.goals[goal].failed for goal in Goal),
        tuple(dict.fromkeys(_rules(target, waived=False))),
        tuple(dict.fromkeys(_rules(target, waived=True))),
        tuple(rule for rule, _ in target.unknown),
    )


def _by_goals(target: TargetView) -> _Key:
    return target.total.standing, _error(target), *(target.goals[goal].standing for goal in Goal)


def _groups(grouped: Sequence[Sequence[TargetView]]) -> tuple[TargetGroup, ...]:
    environments = {environment: place for place, environment in enumerate(_environments(grouped))}
    ordered = sorted(
        grouped,
        key=lambda members: (
            environments[members[0].ref.environment],
            _ORDER.index(members[0].total.standing),
            -max(target.total.failed for target in members),
        ),
    )
    return tuple(_group(members, number) for number, members in enumerate(ordered, 1))


def _environments(grouped: Sequence[Sequence[TargetView]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(members[0].ref.environment for members in grouped))


def _group(members: Sequence[TargetView], number: int) -> TargetGroup:
    first = members[0]
    failed, waived = (
        _counted(dict.fromkeys(_rules(target, waived=waived)) for target in members) for waived in (False, True)
    )
    return TargetGroup(
        anchor=anchor_of("g", str(number)),
        environment=first.ref.environment,
        standing=first.total.standing,
        error=_error(first),
        marks={goal: _mark([target.goals[goal] for target in members]) for goal in Goal},
        protocols=tuple(dict.fromkeys(protocol for target in members for protocol in target.protocols)),
        failed=failed,
        waived=waived,
        unknown=_counted(dict.fromkeys(rule for rule, _ in target.unknown) for target in members),
        targets=tuple(members),
    )


def _counted(rules: Iterable[Iterable[str]]) -> tuple[tuple[str, int], ...]:
    counts = Counter(rule for some in rules for rule in some)
    return tuple(sorted(counts.items(), key=lambda item: -item[1]))


def _rules(target: TargetView, *, waived: bool) -> Iterable[str]:
    return (
        rule
        for severity, rule, _, _, accepted in target.failures
        if accepted == waived and severity is not Severity.INFO
    )


def _error(target: TargetView) -> str:
    return target.error if target.status is TargetStatus.UNREACHABLE else ""


def _mark(tallies: Sequence[Tally]) -> str:
    """A goal as a table shows it: where not all of a group fail alike, without how often."""
    signs = {Standing.FAILED: "✗", Standing.UNKNOWN: "?", Standing.WAIVED: "~", Standing.COMPLIANT: "✓"}
    sign = signs.get(tallies[0].standing, "–")
    failed = {tally.failed for tally in tallies}
    return f"{sign}{failed.pop()}" if sign == "✗" and len(failed) == 1 else sign
