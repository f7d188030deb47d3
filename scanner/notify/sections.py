"""What a message says: the sections of a run's notification, each a list of entries in plain sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from reports.deliver_message import Entry, EnvironmentSummary, Section, inert
from reports.message import Level
from reports.view.causes import found_sentence
from reports.view.index import tally
from scanner.counting import counted
from scanner.history.attribution import AWAY, ChangeCause
from scanner.history.run_diff import CertificateChange
from scanner.notify import alarms
from scanner.notify.alarms import Alarm, CheckResult, Key, Transition
from scanner.notify.expiry import Expiring, WaiverEnding
from scanner.notify.silence import advice_for, cause_in_words, reason_of, why
from scanner.rules import Rule, all_rules
from scanner.state.ledger import Start
from scanner.verdict import RunRecord, Severity, TargetStatus

_ADDRESSES = 3
"""Addresses of a place that are listed."""


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


def missing_reports(troubles: Sequence[str]) -> Section:
    """What was not drawn or written of a run that receivers were told of."""
    entries = tuple(Entry(inert(text)) for text in troubles)
    return Section("run-failed", Level.WARNING, "The reports", "reports are missing", entries)


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


def certificate_changes(changed: Sequence[CertificateChange]) -> list[Section]:
    """Certificates that took the place of others: renewals, and what is none."""
    surprising = _replaced([item for item in changed if not item.expected])
    renewed = _replaced([item for item in changed if item.expected])
    return [
        Section(
            "certificate-changed", Level.WARNING, "Certificates that changed other than by renewal",
            f"{counted(len(surprising), 'certificate')} changed, not by renewal", surprising,
        ),
        Section(
            "certificate-renewed", Level.INFO, "Certificates that were renewed",
            f"{counted(len(renewed), 'certificate')} renewed", renewed,
        ),
    ]  # fmt: skip


def _replaced(changed: Sequence[CertificateChange]) -> tuple[Entry, ...]:
    """One entry for each certificate that came, and what is other in it, with all the places."""
    places: dict[str, set[str]] = defaultdict(set)
    for item in changed:
        if item.after is not None:
            differences = "; ".join(map(str, item.differences))
            text = f"Certificate {item.after.short_fingerprint}…: {item.words}. {differences}".strip()
            places[inert(text)].add(item.target.endpoint)
    return tuple(Entry(text, places=tuple(sorted(at))) for text, at in places.items())


def environment_summaries(record: RunRecord) -> tuple[EnvironmentSummary, ...]:
    """The counts of each environment of a run."""
    result = []
    for name in record.run.environments:
        targets = [target for target in record.targets if target.environment == name]
        result.append(
            EnvironmentSummary(
                name,
                targets=len(targets),
                unreachable=sum(target.status is TargetStatus.UNREACHABLE for target in targets),
                total=tally(verdict for target in targets for verdict in target.verdicts),
            )
        )
    return tuple(result)


class AlarmChange(Struct, frozen=True):
    """A change of one alarm. `first_look` tells that its endpoint was never looked at before."""

    key: Key
    transition: Transition
    result: CheckResult
    before: Alarm
    after: Alarm
    first_look: bool = False
    cause: ChangeCause | None = None

    @property
    def unknown(self) -> bool:
        """Whether it is about what could not be assessed, and not about what failed."""
        return self.key.rule == alarms.UNREACHABLE or self.key.rule.startswith(alarms.UNKNOWN)

    @property
    def moved(self) -> bool:
        """Whether it ended as the name has other addresses, and nothing was fixed."""
        return self.transition is Transition.RESOLVED and self.cause is ChangeCause.ADDRESSES

    @property
    def matters(self) -> Severity:
        """The severity from which on receivers are told: of what is better or fixed, the one that they believed in."""
        return max(self.before.severity, self.after.severity) if self.before.failing else self.result.severity


def changes(changed: Sequence[AlarmChange]) -> list[Section]:
    """What began to fail, got worse or better, and was fixed."""
    told: dict[tuple[Transition, bool], list[AlarmChange]] = defaultdict(list)
    for item in changed:
        told[item.transition, item.unknown].append(item)
    firing = told[Transition.FIRING, False]
    new, first = [item for item in firing if not item.first_look], [item for item in firing if item.first_look]
    unknown = [*told[Transition.FIRING, True], *told[Transition.WORSE, True]]
    seen = [item for item in told[Transition.RESOLVED, True] if not item.moved]
    worse, better = told[Transition.WORSE, False], told[Transition.BETTER, False]
    exceeding = told[Transition.WORSE_BUT_WAIVED, False]
    resolved = told[Transition.RESOLVED, False]
    moved = [item for item in resolved if item.moved]
    moved_unknown = [item for item in told[Transition.RESOLVED, True] if item.moved]
    fixed, waived = (
        [item for item in resolved if not item.result.waived and not item.moved],
        [item for item in resolved if item.result.waived],
    )
    flapping, unsteady = told[Transition.FLAPPING, False], told[Transition.FLAPPING, True]
    return [
        Section(
            "new-failure", Level.FAILURE, "New failures",
            _with_worst(counted(len(new), "new failure"), new), _entries(new),
        ),
        Section(
            "new-failure", Level.FAILURE, "First look: not met",
            _with_worst(f"first look: {len(first)} not met", first) + ("" if new else ", no new failure"),
            _entries(first, with_cause=False),
        ),
        Section("worse", Level.FAILURE, "Worse", _with_worst(f"{len(worse)} worse", worse), _entries(worse)),
        Section(
            "worse", Level.WARNING, "Worse, though a waiver accepts it",
            f"{len(exceeding)} worse but waived", _entries(exceeding),
        ),
        Section(
            "new-failure", Level.WARNING, "Intermittent: reported again once it is stable",
            f"{len(flapping)} flapping", _entries(flapping),
        ),
        Section(
            "indeterminate", Level.WARNING, "Assessed in some runs only: reported again once it is stable",
            f"{len(unsteady)} assessed in some runs only", _entries(unsteady),
        ),
        Section(
            "indeterminate", Level.WARNING, "Cannot be assessed any more",
            f"{len(unknown)} not assessed", _entries(unknown),
        ),
        Section("better", Level.INFO, "Better, and still failing", f"{len(better)} better", _entries(better)),
        Section("fixed", Level.SUCCESS, "Fixed: met again", f"{len(fixed)} fixed", _entries(fixed)),
        Section("fixed", Level.INFO, "Accepted by a waiver", f"{len(waived)} waived", _entries(waived)),
        Section("fixed", Level.INFO, "Ended: the addresses changed", f"{len(moved)} ended", _entries(moved)),
        Section("indeterminate", Level.SUCCESS, "Assessed again", f"{len(seen)} assessed again", _entries(seen)),
        Section(
            "indeterminate", Level.INFO, "Ended: the addresses changed",
            f"{len(moved_unknown)} ended", _entries(moved_unknown),
        ),
    ]  # fmt: skip


def _with_worst(text: str, items: Sequence[AlarmChange]) -> str:
    worst = max((item.after.severity for item in items), default=None)
    return f"{text}, worst {worst}" if worst else text


def _entries(items: Sequence[AlarmChange], *, with_cause: bool = True) -> tuple[Entry, ...]:
    """One entry for each rule, reason, severity and cause, with all the places."""
    grouped: dict[tuple[object, ...], list[AlarmChange]] = defaultdict(list)
    for item in items:
        reason = item.result.verdict.reason if item.result.verdict else ""
        reason = reason or (item.result.silence or "")
        grouped[item.key.rule, reason, item.result.severity, item.before.severity, item.cause].append(item)
    return tuple(_entry(members, with_cause=with_cause) for members in grouped.values())


def _entry(members: Sequence[AlarmChange], *, with_cause: bool) -> Entry:
    first = members[0]
    rule = all_rules().get(first.key.rule.removeprefix(alarms.UNKNOWN))
    failing = first.transition is not Transition.RESOLVED or first.result.waived
    cause = first.cause if with_cause else None
    return Entry(
        _sentence(members, rule),
        _severity(first),
        tuple(sorted(map(_place, members))),
        cause=cause_in_words(cause) if cause else "",
        advice=_advice(first, rule) if failing else "",
        rule=first.key.rule.removeprefix(alarms.UNKNOWN) if rule else "",
        was=first.before.severity if first.transition in {Transition.WORSE, Transition.BETTER} else None,
        told_from=max(item.matters for item in members),
    )


def _advice(change: AlarmChange, rule: Rule | None) -> str:
    """What to do: about what failed as its rule says, about what was not observed as the reason has it."""
    if not change.unknown:
        return rule.fix.summary if rule else ""
    verdict = change.result.verdict
    return advice_for(change.result.silence or (reason_of(verdict.reason) if verdict else None))


def _severity(change: AlarmChange) -> Severity:
    """How bad it is: what is accepted by a waiver as it is now, what is fixed as it was told to be."""
    if change.transition is Transition.WORSE_BUT_WAIVED:
        return change.result.severity
    if change.transition is Transition.RESOLVED:
        return change.result.severity if change.result.waived else change.before.severity
    if change.transition is Transition.FLAPPING:
        # It may never have been told as a failure, and has no severity then.
        return max(change.after.severity, change.result.severity)
    return change.after.severity


def _sentence(members: Sequence[AlarmChange], rule: Rule | None) -> str:
    """What was found, in the words of the rule's finding."""
    first = members[0]
    if first.moved:
        seen = "did not answer or could not be assessed" if first.unknown else "failed"
        days = counted(AWAY.days, "day")
        return f"The addresses at which it {seen} have not been in use for {days}; at the others that is not so."
    if first.key.rule == alarms.UNREACHABLE:
        return _answering(first)
    if first.unknown and first.transition is Transition.RESOLVED:
        return "It could be assessed again."
    verdicts = [item.result.verdict for item in members if item.result.verdict is not None]
    if not verdicts:
        return "What failed is not there any more."
    return inert(found_sentence(rule, verdicts[0].reason, [verdict.message for verdict in verdicts]))


def _answering(change: AlarmChange) -> str:
    """Whether the endpoint answers, and why not."""
    if change.transition is Transition.RESOLVED:
        return "It answers again."
    if change.transition is Transition.FLAPPING:
        return "It answers in some runs only."
    return f"It cannot be reached{why(change.result.silence)}."


def _place(item: AlarmChange) -> str:
    """The endpoint, what part of it is spoken of, and at which of its addresses, where that is not all of them."""
    result = item.result
    place = f"{item.key.endpoint} {inert(item.key.subject)}".rstrip()
    if result.addresses <= 1 or not result.places or len(result.places) == result.addresses:
        return place
    where = ", ".join(address or "unresolved" for address in result.places[:_ADDRESSES])
    more = f" and {len(result.places) - _ADDRESSES} more" if len(result.places) > _ADDRESSES else ""
    return f"{place} (at {len(result.places)} of {result.addresses} addresses: {where}{more})"


def _spoken(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{counted(days, 'day')} {counted(hours_left, 'hour')}"
    return f"{counted(hours, 'hour')} {counted(rest, 'minute')}" if hours else counted(minutes, "minute")


def _left(days: float) -> str:
    return f"in {days:.0f} days" if days >= 2 else f"in {days * 24:.0f} hours"  # noqa: PLR2004  # two days and more are counted in days
