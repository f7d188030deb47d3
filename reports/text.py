"""A run on the terminal: what failed first, worst first; then what is not known; what passed is one line.

Everything that came from a host is put into `rich.text.Text` as plain text: it is never read as markup.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Line
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from reports.view.certificates import common_name, deployments_of, issuer_name
from reports.view.coverage import looked_from, not_covered_in_words
from reports.view.environments import environments_of, headline_of, standing_of
from reports.view.index import Index, is_failure, tally
from reports.view.part import part_in_words
from reports.view.readable import readable
from reports.view.sentences import reason_in_words
from reports.view.standing import Standing, Tally
from reports.wording import FAILURES, GOALS, PROTOCOLS, ROLES, SEVERITIES, STATUSES, TARGET_STATUSES, counted
from scanner.grade import METHOD, explained, in_words
from scanner.untrusted import uncontrolled
from scanner.verdict import Goal, RunRecord, Severity, Status, TargetResult, TargetStatus, Trigger, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from scanner.ownership import Ownership
    from scanner.rules import Rule
    from scanner.standpoint import Part

_NONE: Final = "\N{EN DASH}"
_SYMBOLS: Final = {
    Standing.COMPLIANT: ("✓", "green"),
    Standing.WAIVED: ("✓", "green"),
    Standing.FAILED: ("✗", "bold red"),
    Standing.UNKNOWN: ("?", "yellow"),
    Standing.EMPTY: (_NONE, "dim"),
}
_SEVERITY_STYLES: Final = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}
_SOON_DAYS = 30
_INDENT = 2
_MOST_NOT_COVERED = 10
"""Of what nobody configured, so much is listed."""
_MOST_UNASKED = 12
"""So many rules that nobody asked for one reason are named; more, as `--rule` leaves out, are counted."""
_MIN_WIDTH = 40
_OBSERVED_LIMIT = 400
"""Characters of an observation that are shown without `--verbose`."""


def render_text(  # noqa: PLR0913  # how it is drawn, all of it by keyword
    record: RunRecord,
    *,
    rules: Mapping[str, Rule],
    color: bool = False,
    width: int = 100,
    verbose: bool = False,
    owners: Mapping[str, Ownership] | None = None,
) -> str:
    """Draw a run for a terminal, target by target, with a summary at the end.

    Args:
        record: the run.
        rules: by id, for titles and fixes.
        color: whether to colour by ANSI escapes; without, words and signs say the same.
        width: columns of the terminal.
        verbose: list the requirements that are met or do not apply too.
        owners: who answers for each endpoint, and its labels.
    """
    record = readable(record)
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width, _MIN_WIDTH),
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for target in record.targets:
        owned = _owned((owners or {}).get(target.endpoint), record.run.part)
        console.print(_Harmless(_target(target, rules, record.run.finished_at, owned, verbose=verbose)))
        console.print()
    console.print(_Harmless(_summary(record)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


class _Harmless(Struct, frozen=True):
    """What is drawn, without any character that commands the terminal, wherever it came from: colours come later."""

    drawn: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.drawn, options):
            yield segment if segment.control else Segment(uncontrolled(segment.text), segment.style)


def _owned(whose: Ownership | None, part: Part | None) -> str:
    """Who answers for a target, how they are reached, and its labels.

    The report of an owner says with whom what is theirs is shared.
    """
    if whose is None:
        return ""
    said = [f"{'Owners' if whose.shared_with else 'Owner'}: {', '.join(whose.owners)}"] if whose.owners else []
    if part is not None and part.owner in whose.owners and whose.shared_with:
        said = [f"Owner: {part.owner}, shared with {', '.join(name for name in whose.owners if name != part.owner)}"]
    contacts = whose.contacts
    said += [f"Contact{'s' if len(contacts) > 1 else ''}: {', '.join(contacts)}"] if contacts else []
    said += [f"{name}={value}" for name, value in whose.labels]
    return " · ".join(said)


def _target(
    target: TargetResult, rules: Mapping[str, Rule], now: datetime, owned: str, *, verbose: bool
) -> RenderableType:
    parts: list[RenderableType] = [_header(target)]
    parts += [Padding(Text(owned, style="dim"), (0, 0, 0, _INDENT))] if owned else []
    parts += [Padding(_facts(target, now), (0, 0, 0, _INDENT))]
    if target.status is TargetStatus.UNREACHABLE:
        return Group(*parts)
    failures = sorted(
        (verdict for verdict in target.verdicts if is_failure(verdict)), key=lambda item: -item.severity.rank
    )
    notes = [verdict for verdict in target.verdicts if verdict.counts_as_failure and not is_failure(verdict)]
    waived = [verdict for verdict in target.verdicts if verdict.waiver is not None]
    unknown = [verdict for verdict in target.verdicts if verdict.status is Status.INDETERMINATE]
    for verdict in failures:
        parts += [Text(), Padding(_failure(verdict, rules, full=verbose), (0, 0, 0, _INDENT))]
    lines = [*_waived_lines(waived), *_note_lines(notes)]
    if verbose:
        lines += [_plain_line(verdict) for verdict in target.verdicts if verdict.status is Status.PASS]
        inapplicable = (item for item in target.verdicts if item.status is Status.NOT_APPLICABLE and not item.not_asked)
        lines += [_plain_line(verdict) for verdict in inapplicable]
    unasked = [verdict for verdict in target.verdicts if verdict.not_asked]
    for block in (_grid(_unknown_lines(unknown)), _grid(_unasked_lines(unasked)), _grid(lines)):
        if block.row_count:
            parts += [Text(), Padding(block, (0, 0, 0, _INDENT))]
    counts = tally(target.verdicts)
    passed = f"{counts.passed} met" + (f", {counts.not_applicable} do not apply" if counts.not_applicable else "")
    parts += [Text(), Padding(Text(passed, style="dim"), (0, 0, 0, _INDENT))]
    return Group(*parts)


def _header(target: TargetResult) -> RenderableType:
    total = tally(target.verdicts)
    symbol, style = _SYMBOLS[total.standing]
    where = target.address + (f" at {target.ip}" if target.ip and target.ip != target.host else "")
    title = Text.assemble((f"{symbol} ", style), (where, "bold"))
    what = [target.environment, target.application or ROLES[target.role]]
    if target.implied_by:
        what.append(target.implied_by)
    if target.starttls:
        what.append(f"STARTTLS {target.starttls}")
    grid = Table.grid(expand=True)
    grid.add_column(overflow="fold", ratio=1)
    grid.add_column(justify="right", overflow="fold")
    grid.add_row(title, Text(" · ".join(what), style="dim"))
    return Group(Line(style="dim"), grid)


def _facts(target: TargetResult, now: datetime) -> RenderableType:
    lines = []
    if target.status is not TargetStatus.ASSESSED:
        why = f"{FAILURES[target.error.reason]}" if target.error else ""
        detail = f" ({target.error.detail})" if target.error and target.error.detail else ""
        state = TARGET_STATUSES[target.status].capitalize()
        lines.append(Text(f"{state}: {why}{detail}" if why else state, style="yellow"))
    tls = target.evidence.tls.value if target.evidence else None
    if tls is not None:
        seen = [", ".join(PROTOCOLS[protocol] for protocol in tls.negotiated) or "no protocol negotiated"]
        for deployment in deployments_of(target)[:1]:
            leaf = deployment.leaf
            days = (leaf.not_after - now).days
            name = common_name(leaf.subject) or next(iter(leaf.dns_names), leaf.subject)
            when = f"ended {counted(-days, 'day')} ago" if days < 0 else f"{counted(days, 'day')} left"
            by = "itself" if leaf.self_signed else issuer_name(leaf.issuer)
            seen.append(f"{name}, from {by}, until {leaf.not_after:%Y-%m-%d} ({when})")
        lines.append(Text(" · ".join(seen)))
    if target.status is not TargetStatus.UNREACHABLE:
        lines.append(_goals(target))
    if tls is not None and (graded := explained(target, now)):
        words = in_words(graded)
        shown = f"{graded.letter or ''}{': ' if graded.letter and words else ''}{words}"
        lines.append(Text(f"{METHOD}: {shown}", style="dim"))
    return Group(*lines)


def _goals(target: TargetResult) -> Text:
    by_goal: dict[Goal, list[Verdict]] = defaultdict(list)
    for verdict in target.verdicts:
        by_goal[verdict.goal].append(verdict)
    text = Text()
    for goal in Goal:
        counts = tally(by_goal[goal])
        symbol, style = _SYMBOLS[counts.standing]
        text.append(f"{symbol} ", style).append(GOALS[goal].lower())
        text.append(f" {said}" if (said := _said(counts)) else "", style).append("  ")
    text.rstrip()
    return text


def _said(counts: Tally) -> str:
    return {
        Standing.FAILED: f"{counts.failed} not met",
        Standing.UNKNOWN: f"{counts.indeterminate} unknown",
        Standing.WAIVED: f"{counts.waived} waived",
        Standing.EMPTY: "not judged",
    }.get(counts.standing, "")


def _failure(verdict: Verdict, rules: Mapping[str, Rule], *, full: bool) -> RenderableType:
    rule = rules.get(verdict.rule)
    label = SEVERITIES[verdict.severity].upper()
    head = Text.assemble(
        ("✗ ", "red"), (f"{label}", _SEVERITY_STYLES[verdict.severity]), " " * (9 - len(label)), (verdict.rule, "bold")
    )
    if verdict.subject and verdict.subject not in verdict.message:
        head.append(f" {verdict.subject}")
    body = Table.grid(padding=(0, 1))
    body.add_column(style="dim", no_wrap=True, min_width=len("observed"))
    body.add_column(overflow="fold")
    if verdict.observed and verdict.observed not in verdict.message:
        body.add_row("observed", Text(_cut(verdict.observed, full=full)))
    if verdict.expected and verdict.expected not in verdict.message:
        body.add_row("expected", Text(_cut(verdict.expected, full=full)))
    if rule is not None:
        body.add_row("fix", Text(rule.fix.summary))
    if full and verdict.sources:
        body.add_row("sources", Text("; ".join(verdict.sources)))
    message = Text(_cut(verdict.message, full=full))
    return Group(head, Padding(Group(message, body), (0, 0, 0, _INDENT)))


def _cut(text: str, *, full: bool) -> str:
    return text if full or len(text) <= _OBSERVED_LIMIT else f"{text[: _OBSERVED_LIMIT - 1]}…"


_Row = tuple[Text, Text, Text]
_WITH_A_RULE: Final = 3


def _grid(rows: Iterable[tuple[Text, ...]]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    for row in rows:
        while len(grid.columns) < len(row):
            # The names of rules stay whole, as they are typed again; no message is the second of three.
            grid.add_column(overflow="fold", no_wrap=len(grid.columns) == 1 and len(row) == _WITH_A_RULE)
        grid.add_row(*row)
    return grid


def _waived_lines(verdicts: list[Verdict]) -> Iterator[_Row]:
    for verdict in verdicts:
        if verdict.waiver is not None:
            until = f"Waived until {verdict.waiver.expires} by {verdict.waiver.owner}: {verdict.waiver.reason}."
            yield Text("~ waived", style="magenta"), Text(verdict.rule), Text(f"{verdict.message} {until}")


def _unknown_lines(verdicts: list[Verdict]) -> Iterator[tuple[Text, Text]]:
    for reason, found in _by_reason(verdicts):
        yield Text("? not assessed", style="yellow"), Text(f"{reason}: {', '.join(found)}")


def _unasked_lines(verdicts: list[Verdict]) -> Iterator[tuple[Text, Text]]:
    """What was left out, by reason: that nobody asked says nothing of the server, and is never silent."""
    for reason, found in _by_reason(verdicts):
        which = ", ".join(found) if len(found) <= _MOST_UNASKED else counted(len(found), "rule")
        yield Text(f"{_NONE} not checked", style="dim"), Text(f"{reason.removeprefix('It was ')}: {which}")


def _by_reason(verdicts: list[Verdict]) -> Iterator[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for verdict in verdicts:
        grouped[reason_in_words(verdict.message)].append(verdict.rule)
    for reason, found in grouped.items():
        yield reason, [*dict.fromkeys(found)]


def _note_lines(verdicts: list[Verdict]) -> Iterator[_Row]:
    for verdict in verdicts:
        yield Text("· note", style="dim"), Text(verdict.rule), Text(_cut(verdict.message, full=False))


def _plain_line(verdict: Verdict) -> _Row:
    symbol, style = ("✓", "green") if verdict.status is Status.PASS else (_NONE, "dim")
    return Text(f"{symbol} {STATUSES[verdict.status].lower()}", style=style), Text(verdict.rule), Text(verdict.message)


def _summary(record: RunRecord) -> RenderableType:
    index = Index.of(record)
    found = environments_of(index)
    total = tally(record.verdicts)
    standing = standing_of(record.run, found, total)
    symbol, style = _SYMBOLS[standing]
    headline = Text.assemble((f"{symbol} ", style), (headline_of(record.run, found, standing, total), "bold"))
    severities: dict[Severity, int] = defaultdict(int)
    for verdict in record.verdicts:
        if is_failure(verdict):
            severities[verdict.severity] += 1
    by_severity = ", ".join(
        f"{severities[severity]} {SEVERITIES[severity].lower()}"
        for severity in reversed(Severity)
        if severities[severity]
    )
    numbers = [
        counted(len(record.targets), "target"),
        f"{total.failed} not met" + (f" ({by_severity})" if by_severity else ""),
        *total.said.split(", ")[1:],
    ]
    absent = [
        Text(
            f"No target: {domain.host}:{domain.port} ({domain.environment}, {domain.named_by}), because "
            f"{FAILURES[domain.failure.reason]}; the environment's other domain answers"
        )
        for domain in record.run.absent_domains
    ]
    policies = dict.fromkeys((record.run.policy, *(target.policy for target in record.targets)))
    judged = ", ".join(f"{policy.id} {policy.version}" for policy in policies)
    lines: list[RenderableType] = [
        Line(style="dim"),
        headline,
        *([Text(part_in_words(record.run.part))] if record.run.part else []),
        Text(" · ".join(part for part in numbers if part)),
        *absent,
        *_not_covered(record),
    ]
    # Whoever scans a host by hand knows where from, but for a proxy that came from the environment.
    vantage = record.run.vantage
    if record.run.trigger is not Trigger.AD_HOC or (vantage is not None and (vantage.name or vantage.proxy)):
        lines += [Text(f"looked from {place}", style="dim")] if (place := looked_from(record)) else []
    lines.append(
        Text(f"policy {judged}" + (" · nightseal explain RULE explains a rule" if total.failed else ""), style="dim")
    )
    return Group(*lines)


def _not_covered(record: RunRecord) -> Iterator[Text]:
    """What was not looked at because nobody configured it: the first of it, and how much there is."""
    run = record.run
    for item in run.not_covered[:_MOST_NOT_COVERED]:
        yield Text(f"Not covered: {not_covered_in_words(item)}")
    if run.not_covered_total > _MOST_NOT_COVERED:
        yield Text(f"Not covered: and {run.not_covered_total - _MOST_NOT_COVERED} more (--format json lists them)")
