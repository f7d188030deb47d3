"""`nightseal diff`: what changed from one run to another, and through whom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.verification import NotAReportError, verify_pdf
from reports.view.index import tally
from scanner.app.handlers.lines import line
from scanner.app.history_access import baseline, open_history
from scanner.app.signing import LARGEST_PDF, read_bounded
from scanner.errors import UsageError
from scanner.history.diff import diff as compare

if TYPE_CHECKING:
    from scanner.history.balance import Balance
    from scanner.history.run_diff import RunDiff, VerdictChange


def diff(runs: tuple[str, ...], config_path: Path, since: datetime | None, since_report: Path | None) -> None:
    """Show what changed between two runs."""
    history = open_history(config_path)
    most = 2
    if len(runs) > most:
        raise UsageError("diff compares two runs: name two, one or none")
    after = runs[-1] if runs else history.latest()
    if after is None:
        raise UsageError("the history has no run yet: nightseal run makes one")
    before: str | None
    if (since or since_report) and len(runs) == most:
        raise UsageError(
            "two runs already define the comparison: omit --since and --since-report, or name only one run"
        )
    if since_report is not None:
        before = _run_of(since_report)
    elif since is not None:
        before = baseline(history, after, since)
    else:
        before = runs[0] if len(runs) == most else history.previous(after)
    if before is None:
        raise UsageError(f"there is no earlier complete run of the same scope as {after}")
    then, now = history.record(before), history.record(after)
    found = compare(then, now)
    heading, *lines = describe(found)
    click.echo(heading)
    click.echo(line("Then", tally(then.verdicts).said))
    click.echo(line("Now", tally(now.verdicts).said))
    if found.balances:
        click.echo(line("Not met", "; ".join(map(_balance, found.balances))))
    for text in lines:
        click.echo(text)


def _balance(found: Balance) -> str:
    counts = [f"{number} {word}" for number, word in ((found.more, "more"), (found.fewer, "fewer")) if number]
    return f"{', '.join(counts)} [{found.cause}]"


def _run_of(report: Path) -> str:
    """The run of a signed report.

    Raises:
        UsageError: it is none, or it is not what was signed.
    """
    try:
        found = verify_pdf(read_bounded(report, LARGEST_PDF))
    except NotAReportError as error:
        raise UsageError(f"{report}: {error}") from error
    if not found.valid or found.report is None:
        raise UsageError(f"{report} is not as it was signed: `nightseal verify {report}` says why")
    return found.report.run.id


def describe(change: RunDiff) -> Iterator[str]:
    """A diff in lines, what became worse first."""
    yield f"From {change.before.id} to {change.after.id} ({', '.join(change.environments)})"
    if not change.changed:
        yield f"Nothing changed; {_still(len(change.still_failing))}."
        return
    for title, items in (
        ("New failures", change.new_failures),
        ("Worse", change.worse),
        ("Worse, though a waiver accepts it", change.worse_but_waived),
        ("Assessed again: failing", change.newly_assessed),
        ("Became indeterminate", change.became_indeterminate),
        ("Better", change.better),
        ("Fixed", change.fixed),
        ("Newly waived", change.newly_waived),
        ("No longer judged", change.no_longer_judged),
    ):
        if items:
            yield f"\n{title} ({len(items)})"
            for item in items:
                yield from _lines(item)
    for title, targets in (
        ("Now unreachable", change.now_unreachable),
        ("Back", change.back),
        ("Appeared", change.appeared),
        ("Disappeared", change.disappeared),
    ):
        if targets:
            yield f"\n{title} ({len(targets)})"
            yield from (f"  {item.target.id}" for item in targets)
    if change.addresses:
        yield f"\nAddresses changed ({len(change.addresses)})"
        yield from (
            f"  {item.target.endpoint}  {' '.join((*(f'+{ip}' for ip in item.came), *(f'-{ip}' for ip in item.gone)))}"
            for item in change.addresses
        )
    yield from _certificates(change)
    yield f"\n{_still(len(change.still_failing))[:1].upper()}{_still(len(change.still_failing))[1:]}."


def _certificates(change: RunDiff) -> Iterator[str]:
    """Certificates that took others' places, what is no renewal first."""
    for title, items in (
        ("Certificates changed other than by renewal", [item for item in change.certificates if not item.expected]),
        ("Certificates changed", [item for item in change.certificates if item.expected]),
    ):
        if items:
            yield f"\n{title} ({len(items)})"
        for item in items:
            yield f"  {item.target.id}  {item.words}"
            yield from (f"           {difference}" for difference in item.differences)


def _lines(item: VerdictChange) -> Iterator[str]:
    before, verdict = item.before, item.verdict
    severity = str(verdict.severity)
    if before is not None and item.after is not None and before.status is verdict.status:
        severity = severity if before.severity is verdict.severity else f"{before.severity} → {severity}"
    subject = f" {verdict.subject}" if verdict.subject else ""
    yield f"  {severity:<8} {verdict.rule}{subject}  {_place(item)}  [{item.cause}]"
    yield f"           {verdict.message}"


def _place(item: VerdictChange) -> str:
    """The endpoint and the addresses where it is so, where that is not all of them."""
    if item.addresses <= 1:
        return item.target.id
    if len(item.places) == item.addresses:
        return f"{item.target.endpoint} (at all {item.addresses} addresses)"
    where = ", ".join(place.ip or "unresolved" for place in item.places[:3])
    more = f" and {len(item.places) - 3} more" if len(item.places) > 3 else ""  # noqa: PLR2004  # three tell enough
    return f"{item.target.endpoint} (at {len(item.places)} of {item.addresses} addresses: {where}{more})"


def _still(number: int) -> str:
    return "1 failure remains" if number == 1 else f"{number} failures remain"
