"""What a message says: the sections of a run's notification, each a list of entries in plain sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from reports.deliver_message import Entry, EnvironmentSummary, Level, Section, counted
from scanner.notify import alarms
from scanner.notify.alarms import CheckResult, Key, Transition
from scanner.notify.expiry import Expiring, WaiverEnding
from scanner.rules import all_rules
from scanner.state.ledger import Start
from scanner.verdict import RunRecord, Severity, Status, TargetStatus

_COVERAGE_DROP = 0.1
"""A tenth of the targets fewer, or assessed less, is told."""


def run_problems(record: RunRecord, start: Start, earlier: Sequence[Start], problems: Sequence[str]) -> Section:
    """What went wrong with the run itself. `earlier` are the attempts at the same start before this one."""
    entries = [Entry(text) for text in problems]
    if start.late and start.started_at:
        waited = start.started_at - start.due
        entries.append(Entry(f"It was due at {start.due:%Y-%m-%d %H:%M} UTC and began {_spoken(waited)} later."))
    entries += [
        Entry(f"Attempt {attempt.attempt} was interrupted ({attempt.reason or 'its process was killed'}).")
        for attempt in earlier
    ]
    if not record.run.complete:
        seen, expected = len(record.targets), record.run.expected_targets
        entries.append(Entry(f"It was stopped when {seen} of {counted(expected, 'target')} were done."))
    level = Level.WARNING if record.run.complete else Level.FAILURE
    word = "the run was late or in trouble" if record.run.complete else "the run is incomplete"
    return Section("run-failed", level, "The run itself", word, tuple(entries))


def coverage(before: RunRecord | None, after: RunRecord) -> Section:
    """What could be looked at less than in the run before."""
    entries = []
    if before is not None and after.run.complete and before.run.complete:
        if after.run.expected_targets < before.run.expected_targets * (1 - _COVERAGE_DROP):
            entries.append(Entry(f"{after.run.expected_targets} targets instead of {before.run.expected_targets}."))
        seen, was = _assessed(after), _assessed(before)
        if seen < was - _COVERAGE_DROP:
            entries.append(Entry(f"{seen:.0%} of the targets could be assessed in full, {was:.0%} before."))
        before_ids = {f"{target.environment}/{target.address}" for target in before.targets}
        entries += [
            Entry(f"{domain.host} ({domain.environment}, {domain.named_by}) gives no answer any more.")
            for domain in after.run.absent_domains
            if domain.endpoint in before_ids
        ]
    return Section("coverage", Level.WARNING, "Coverage dropped", "coverage dropped", tuple(entries))


def endings(certificates: Sequence[Expiring], waivers: Sequence[WaiverEnding], now: datetime) -> list[Section]:
    """Certificates and waivers that end soon."""
    soon = tuple(
        Entry(
            f"{'Certificate' if item.leaf else 'Intermediate certificate'} {item.fingerprint[:16]}… ends on "
            f"{item.not_after:%Y-%m-%d %H:%M} UTC, {_left(item.days_left(now))}.",
            places=item.targets,
        )
        for item in certificates
    )
    ending = tuple(
        Entry(
            f"{item.waiver.rule} for {item.waiver.scope} ({item.waiver.owner}) "
            + ("no longer waives" if item.days_left < 0 else f"waives until {item.waiver.expires}")
            + "."
        )
        for item in waivers
    )
    return [
        Section(
            "expiring", Level.WARNING, "Certificates that end soon",
            f"{counted(len(soon), 'certificate')} expiring", soon,
        ),
        Section(
            "waiver-expiring", Level.WARNING, "Waivers that end soon",
            f"{counted(len(ending), 'waiver')} ending", ending,
        ),
    ]  # fmt: skip


def environment_summaries(record: RunRecord) -> tuple[EnvironmentSummary, ...]:
    """The counts of each environment of a run; notes are not counted among failures."""
    result = []
    for name in record.run.environments:
        targets = [target for target in record.targets if target.environment == name]
        verdicts = [v for target in targets for v in target.verdicts if v.severity is not Severity.INFO]
        result.append(
            EnvironmentSummary(
                name,
                targets=len(targets),
                unreachable=sum(target.status is TargetStatus.UNREACHABLE for target in targets),
                failed=sum(verdict.counts_as_failure for verdict in verdicts),
                waived=sum(verdict.waiver is not None for verdict in verdicts),
                indeterminate=sum(verdict.status is Status.INDETERMINATE for verdict in verdicts),
                passed=sum(verdict.status is Status.PASS for verdict in verdicts),
            )
        )
    return tuple(result)


def transitions(told: Mapping[Transition, Sequence[tuple[Key, CheckResult]]]) -> list[Section]:
    """What began to fail and what was fixed."""
    failing = [item for item in told.get(Transition.FIRING, ()) if not _is_unknown(item[0])]
    unknown = [item for item in told.get(Transition.FIRING, ()) if _is_unknown(item[0])]
    fixed = [item for item in told.get(Transition.RESOLVED, ()) if not item[1].waived and not _is_unknown(item[0])]
    seen = [item for item in told.get(Transition.RESOLVED, ()) if _is_unknown(item[0])]
    waived = [item for item in told.get(Transition.RESOLVED, ()) if item[1].waived]
    flapping = list(told.get(Transition.FLAPPING, ()))
    worst = max((finding.severity for _, finding in failing), default=None)
    count = f"{counted(len(failing), 'new failure')}, worst {worst}" if worst else ""
    return [
        Section("new-failure", Level.FAILURE, "New failures: not met any more", count, _entries(failing)),
        Section(
            "new-failure", Level.WARNING, "Comes and goes: told again when it is steady",
            f"{len(flapping)} flapping", _entries(flapping),
        ),
        Section(
            "indeterminate", Level.WARNING, "Cannot be assessed any more",
            f"{len(unknown)} not assessed", _entries(unknown),
        ),
        Section("fixed", Level.SUCCESS, "Fixed: met again", f"{len(fixed)} fixed", _entries(fixed)),
        Section("fixed", Level.INFO, "Accepted by a waiver", f"{len(waived)} waived", _entries(waived)),
        Section("indeterminate", Level.SUCCESS, "Assessed again", f"{len(seen)} assessed again", _entries(seen)),
    ]  # fmt: skip


def _is_unknown(key: Key) -> bool:
    return key.rule == alarms.UNREACHABLE or key.rule.startswith(alarms.UNKNOWN)


def _entries(items: Sequence[tuple[Key, CheckResult]]) -> tuple[Entry, ...]:
    """One entry for each rule and severity, with all the places."""
    grouped: dict[tuple[str, Severity], list[str]] = defaultdict(list)
    for key, finding in items:
        place = f"{key.target} {key.subject}".rstrip()
        grouped[key.rule, finding.severity].append(place)
    return tuple(Entry(_title(rule), severity, tuple(sorted(places))) for (rule, severity), places in grouped.items())


def _title(rule: str) -> str:
    if rule == alarms.UNREACHABLE:
        return "The target as a whole"
    known = all_rules().get(rule.removeprefix(alarms.UNKNOWN))
    return f"{known.title} ({known.id})" if known else rule


def _assessed(record: RunRecord) -> float:
    statuses = [target.status for target in record.targets]
    return statuses.count(TargetStatus.ASSESSED) / len(statuses) if statuses else 0.0


def _spoken(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{counted(days, 'day')} {counted(hours_left, 'hour')}"
    return f"{counted(hours, 'hour')} {counted(rest, 'minute')}" if hours else counted(minutes, "minute")


def _left(days: float) -> str:
    return f"in {days:.0f} days" if days >= 2 else f"in {days * 24:.0f} hours"  # noqa: PLR2004  # two days and more are counted in days
