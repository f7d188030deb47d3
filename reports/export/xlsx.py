"""XLSX: a workbook for those who work in spreadsheets, with typed cells, filters and frozen heads.

Text is never taken for a formula or a link, whatever it begins with.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import xlsxwriter  # type: ignore[import-untyped]  # the library is not typed
from msgspec import Struct

from reports.view.certificates import certificates_of
from reports.view.coverage import looked_from, not_covered_in_words
from reports.view.environments import environments_of
from reports.view.index import Index, tally
from reports.view.part import part_in_words
from reports.view.standing import STANDINGS, Tally
from reports.wording import GOALS, STATUSES, TARGET_STATUSES
from scanner.untrusted import ELLIPSIS, unturned
from scanner.verdict import RunRecord, Status, TargetResult, finding_id

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # the same
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]  # the same

    from scanner.ownership import Ownership
    from scanner.rules import Rule

_LAST_ROW: Final = 1_048_576 - 1
"""The format holds no more rows, the head included."""
_LONGEST: Final = 32_767
"""Nor more characters in a cell."""

_A4: Final = 9
"""The format's number for that size of paper."""

Cell = str | int | float | date | datetime | None


class _Sheet(Struct, frozen=True):
    name: str
    heads: tuple[str, ...]
    widths: tuple[int, ...]
    rows: Iterable[Sequence[Cell]]


def to_xlsx(
    record: RunRecord, *, rules: Mapping[str, Rule] | None = None, owners: Mapping[str, Ownership] | None = None
) -> bytes:
    """Write a run as a workbook: what it was, environments, targets, verdicts and certificates.

    The same run gives the same bytes. `rules` are by id; one that is not among them has no title. `owners`
    say who answers for an endpoint, how they are reached, and its labels.
    """
    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, options) as workbook:
        run = record.run
        workbook.set_properties(
            {
                "title": f"HTTPS compliance, run {run.id}",
                "subject": f"Policy {run.policy.id} {run.policy.version}",
                "author": f"Nightseal {run.tool_version}",
                "created": run.finished_at.replace(tzinfo=None),
            }
        )
        for sheet in _sheets(record, rules or {}, owners or {}):
            _write(workbook, sheet)
    return out.getvalue()


def _sheets(record: RunRecord, rules: Mapping[str, Rule], owners: Mapping[str, Ownership]) -> Iterator[_Sheet]:
    index = Index.of(record)
    yield _Sheet("Run", ("What", "Value"), (24, 70), _about(record))
    yield _Sheet(
        "Environments",
        (
            "Environment",
            "Goal",
            "Standing",
            "Not met",
            "Notes",
            "Waived",
            "Not assessed",
            "Met",
            "Does not apply",
            "Worst",
        ),
        (22, 16, 24, 10, 10, 10, 13, 10, 15, 12),
        (
            (
                environment.name,
                GOALS[goal],
                STANDINGS[cell.standing],
                *_counts(cell),
                cell.worst.value if cell.worst else None,
            )
            for environment in environments_of(index)
            for goal, cell in environment.goals.items()
        ),
    )
    yield _Sheet(
        "Targets",
        ("Target", "Environment", "Application", "Host", "Port", "IP", "State", "Not met", "Notes", "Waived",
         "Not assessed", "Met", "Does not apply", "Seconds", "Connections", "Owner", "Labels", "Contact"),
        (44, 16, 20, 32, 8, 18, 18, 10, 10, 10, 13, 10, 15, 10, 12, 22, 30, 30),
        _targets(record, owners),
    )  # fmt: skip
    yield _Sheet(
        "Verdicts",
        ("Target", "Environment", "Rule", "Goal", "Verdict", "Severity", "Path", "What was found", "Observed",
         "Expected", "Sources", "Waived until", "Waived by", "Waived because", "Requirement", "Reason", "Counted as",
         "Id", "Owner", "Labels", "Contact"),
        (44, 16, 26, 14, 15, 10, 18, 60, 36, 30, 36, 13, 18, 30, 40, 20, 14, 34, 22, 30, 30),
        _verdicts(record, rules, owners),
    )  # fmt: skip
    yield _Sheet(
        "Certificates",
        ("Certificate", "Ends", "Days left", "Begins", "Issuer", "Key", "Names", "Targets", "SHA-256"),
        (32, 12, 10, 12, 30, 14, 40, 44, 66),
        (
            (
                item.name,
                item.not_after.date(),
                item.days_left,
                item.not_before.date(),
                item.issuer,
                item.key,
                ", ".join(item.names),
                ", ".join(target.id for target in item.targets),
                item.fingerprint,
            )
            for item in certificates_of(index)
        ),
    )


def _counts(found: Tally) -> tuple[int, ...]:
    """In the order and by the words in which a run is counted everywhere."""
    return (found.failed, found.notes, found.waived, found.indeterminate, found.passed, found.not_applicable)


def _about(record: RunRecord) -> Iterator[tuple[Cell, ...]]:
    """Which run this is: whoever gets the file alone must be able to tell. Versions are text, however they look."""
    run = record.run
    if run.part:
        yield "Part", part_in_words(run.part)
    yield from (("Run", run.id), ("Complete", "yes" if run.complete else "no, it was interrupted"))
    yield from (("Began", f"{run.started_at:%Y-%m-%d %H:%M} UTC"), ("Ended", f"{run.finished_at:%Y-%m-%d %H:%M} UTC"))
    for ref in dict.fromkeys((run.policy, *(target.policy for target in record.targets))):
        yield "Policy", f"{ref.title or ref.id} ({ref.id})"
        yield "Version of the policy", ref.version
        yield "SHA-256 of the policy", ref.digest
    yield from (("Targets", len(record.targets)), ("Nightseal", run.tool_version))
    yield "Counts", tally(record.verdicts).said
    if place := looked_from(record):
        yield "Looked from", place
    for item in run.not_covered:
        yield "Not covered", not_covered_in_words(item)
    if run.not_covered_total > len(run.not_covered):
        yield "Not covered", f"and {run.not_covered_total - len(run.not_covered)} more"


def _owned(target: TargetResult, owners: Mapping[str, Ownership]) -> tuple[Cell, ...]:
    """All who answer for a target, its labels, and how they are reached."""
    whose = owners.get(target.endpoint)
    return whose.in_cells if whose is not None else (None, None, None)


def _targets(record: RunRecord, owners: Mapping[str, Ownership]) -> Iterator[tuple[Cell, ...]]:
    for target in record.targets:
        counts = tally(target.verdicts)
        yield (
            target.id,
            target.environment,
            target.application,
            target.host,
            target.port,
            target.ip,
            TARGET_STATUSES[target.status],
            *_counts(counts),
            round(target.duration_s, 3),
            target.connections,
            *_owned(target, owners),
        )


def _verdicts(
    record: RunRecord, rules: Mapping[str, Rule], owners: Mapping[str, Ownership]
) -> Iterator[tuple[Cell, ...]]:
    # What does not fit is what is met or does not apply; the other formats have it.
    everything = len(record.verdicts) <= _LAST_ROW
    for target in record.targets:
        for verdict in target.verdicts:
            if everything or verdict.status in {Status.FAIL, Status.INDETERMINATE}:
                waiver = verdict.waiver
                yield (
                    target.id,
                    target.environment,
                    verdict.rule,
                    GOALS[verdict.goal],
                    STATUSES[verdict.status],
                    verdict.severity.value,
                    verdict.subject,
                    verdict.message,
                    verdict.observed,
                    verdict.expected,
                    "; ".join(verdict.sources),
                    waiver.expires if waiver else None,
                    waiver.owner if waiver else None,
                    waiver.reason if waiver else None,
                    rules[verdict.rule].title if verdict.rule in rules else None,
                    verdict.reason,
                    verdict.counted_as.value,
                    finding_id(target, verdict),
                    *_owned(target, owners),
                )


def _write(workbook: Workbook, sheet: _Sheet) -> None:
    head = workbook.add_format({"bold": True, "bottom": 1, "valign": "top"})
    day = workbook.add_format({"num_format": "yyyy-mm-dd", "valign": "top", "align": "left"})
    plain = workbook.add_format({"valign": "top"})
    page: Worksheet = workbook.add_worksheet(sheet.name)
    for column, (name, width) in enumerate(zip(sheet.heads, sheet.widths, strict=True)):
        page.write_string(0, column, name, head)
        page.set_column(column, column, width)
    last = 0
    for row in sheet.rows:
        if last == _LAST_ROW:
            break
        last += 1
        for column, cell in enumerate(row):
            _write_cell(page, last, column, cell, day=day, plain=plain)
    page.freeze_panes(1, 1)
    # As wide as a sheet of paper lying down, the head on each: a hundred columns of pages are read by nobody.
    page.set_landscape()
    page.set_paper(_A4)
    page.fit_to_pages(1, 0)
    page.repeat_rows(0)
    page.set_footer("&L&A&RPage &P of &N")
    page.autofilter(0, 0, last, len(sheet.heads) - 1)


def _write_cell(page: Worksheet, row: int, column: int, cell: Cell, *, day: Any, plain: Any) -> None:  # noqa: PLR0913  # a cell has a place, a value and a look
    if cell is None or cell == "":
        return
    if isinstance(cell, date):
        page.write_datetime(row, column, cell, day)
    elif isinstance(cell, int | float):
        page.write_number(row, column, cell, plain)
    else:
        text = unturned(cell)
        whole = len(text) <= _LONGEST
        page.write_string(row, column, text if whole else f"{text[: _LONGEST - 1]}{ELLIPSIS}", plain)
