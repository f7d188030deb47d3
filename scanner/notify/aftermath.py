"""What follows a run that is in the history: alarms, messages and facts for the metrics, in one transaction.

It is a function of the run and of the state file, so that it can be done again where a process was killed before it
was done, and is done once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from reports.deliver_message import Entry, Level, News, Section, Standing, compose, compose_digest, counted
from scanner.config import Config
from scanner.config_form import ScheduleForm
from scanner.history.rows import deployments_of
from scanner.notify import alarms, expiry
from scanner.notify.alarms import Alarm, Finding, Key, Outcome, Turn
from scanner.notify.outbox import post
from scanner.rules import all_rules
from scanner.state.database import FACTS, OUTBOX, STARTS, TOLD
from scanner.state.ledger import ENDED, Ledger, Start, State
from scanner.verdict import RunRecord, Severity, Status, TargetStatus

_COVERAGE_DROP = 0.1
"""A tenth of the targets fewer, or assessed less, is told."""
_DIGEST_AFTER = {"run": timedelta(0), "day": timedelta(days=1), "week": timedelta(days=7)}
_MOST_CERTIFICATES = 5000


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What there is of a run. `found` are its findings after the second look; `previous` is the run before it."""

    config: Config
    schedule: ScheduleForm
    start: Start
    record: RunRecord
    previous: RunRecord | None
    found: Mapping[Key, Finding]
    reports: Sequence[Path]
    troubles: Sequence[str]

    def settle(self, engine: Engine, now: datetime, exit_status: int, summary: str) -> State:
        """Change the alarms, post the messages, keep the facts, and end the start, or nothing of it at all."""
        state = State.DONE if self.record.run.complete else State.INCOMPLETE
        earlier = Ledger(engine).earlier_attempts(self.start)
        with engine.begin() as connection:
            ending = {"state": state, "finished_at": now, "exit_status": exit_status, "summary": summary}
            ending["reason"] = "; ".join(self.troubles)
            still_open = (STARTS.c.id == self.start.id) & STARTS.c.state.not_in(ENDED)
            if connection.execute(update(STARTS).where(still_open).values(ending)).rowcount != 1:
                return state
            sections = [
                *self._troubles(earlier),
                *self._turns(connection, now),
                *self._coverage(),
                *self._endings(connection, now),
            ]
            self._post(connection, [section for section in sections if section.entries], now)
            facts = _facts(self.record, state)
            statement = upsert(FACTS).values(schedule=self.schedule.name, facts=facts)
            connection.execute(statement.on_conflict_do_update(index_elements=["schedule"], set_={"facts": facts}))
        return state

    def _post(self, connection: Connection, sections: Sequence[Section], now: datetime) -> None:
        base = self.config.form.daemon.report_url
        links = tuple((path.suffix[1:], f"{base.rstrip('/')}/{path.name}") for path in self.reports) if base else ()
        run = self.record.run
        news = News(
            self.schedule.name,
            run.id,
            run.started_at,
            tuple(sections),
            standings(self.record),
            tuple(self.reports),
            links,
        )
        for receiver in self.config.receivers:
            if receiver.name not in self.schedule.notify:
                continue
            message = compose(news, on=receiver.on, severity=receiver.severity, attach=receiver.attach)
            if message is None and receiver.digest != "never" and self.record.run.complete:
                last: datetime | None = connection.scalar(
                    select(func.max(OUTBOX.c.created_at)).where(OUTBOX.c.receiver == receiver.name)
                )
                if last is None or now - last >= _DIGEST_AFTER[receiver.digest]:
                    message = compose_digest(news, attach=receiver.attach)
            if message is not None:
                post(connection, receiver.name, message, now, self.start.id)

    def _troubles(self, earlier: Sequence[Start]) -> list[Section]:
        """What went wrong with the run itself."""
        entries = [Entry(text) for text in self.troubles]
        if self.start.late and self.start.started_at:
            waited = self.start.started_at - self.start.due
            entries.append(
                Entry(f"It was due at {self.start.due:%Y-%m-%d %H:%M} UTC and began {_spoken(waited)} later.")
            )
        entries += [
            Entry(f"Attempt {attempt.attempt} was interrupted ({attempt.reason or 'its process was killed'}).")
            for attempt in earlier
        ]
        if not self.record.run.complete:
            seen, expected = len(self.record.targets), self.record.run.expected_targets
            entries.append(Entry(f"It was stopped when {seen} of {counted(expected, 'target')} were done."))
        level = Level.WARNING if self.record.run.complete else Level.FAILURE
        word = "the run was late or in trouble" if self.record.run.complete else "the run is incomplete"
        return [Section("run-failed", level, "The run itself", word, tuple(entries))]

    def _turns(self, connection: Connection, now: datetime) -> list[Section]:
        """What began and what was mended, by the alarms, which follow."""
        known = alarms.load(connection, self.schedule.name)
        if not known and self.previous is not None and not self._first_told(connection):
            known = alarms.from_record(self.previous)
        told: dict[Turn, list[tuple[Key, Finding]]] = defaultdict(list)
        after = self._still_meant(known)
        for key, finding in {**self.found, **self._gone(after)}.items():
            alarm, turn = alarms.observe(after.get(key, Alarm()), finding, now)
            after[key] = alarm
            if turn is not None:
                told[turn].append((key, Finding(finding.outcome, alarm.severity, finding.waived)))
        alarms.save(connection, self.schedule.name, after)
        return _sections(told)

    def _first_told(self, connection: Connection) -> bool:
        """Whether this service has reported a run of the schedule before."""
        reported = (STARTS.c.schedule == self.schedule.name) & (STARTS.c.state == State.DONE)
        return bool(connection.scalar(select(func.count()).where(reported & (STARTS.c.id != self.start.id))))

    def _still_meant(self, known: Mapping[Key, Alarm]) -> dict[Key, Alarm]:
        """The alarms that are about something which this configuration still scans and judges."""
        if not self.record.run.complete:
            return dict(known)
        targets = {target.id for target in self.record.targets}
        absent = {domain.endpoint for domain in self.record.run.absent_domains}
        rules = {verdict.rule for verdict in self.record.verdicts} | {alarms.UNREACHABLE}
        return {
            key: alarm
            for key, alarm in known.items()
            # A domain at which nobody answers tonight may be back tomorrow, with what was told of it.
            if (key.target in targets or key.target.rpartition("@")[0] in absent)
            and key.rule.removeprefix(alarms.UNKNOWN) in rules
        }

    def _gone(self, known: Mapping[Key, Alarm]) -> dict[Key, Finding]:
        """Subjects that an assessed target has no more, such as a certificate that was replaced: they are mended."""
        assessed = {target.id for target in self.record.targets if target.status is TargetStatus.ASSESSED}
        return {
            key: Finding(Outcome.GOOD, alarm.severity)
            for key, alarm in known.items()
            if key.target in assessed and key not in self.found
        }

    def _coverage(self) -> list[Section]:
        before, after = self.previous, self.record
        if before is None or not after.run.complete or not before.run.complete:
            return []
        entries = []
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
        return [Section("coverage", Level.WARNING, "Coverage dropped", "coverage dropped", tuple(entries))]

    def _endings(self, connection: Connection, now: datetime) -> list[Section]:
        """Certificates and waivers that end soon; each step is told once."""
        told = set(connection.scalars(select(TOLD.c.what).where(TOLD.c.schedule == self.schedule.name)))
        certificates = expiry.expiring(self.record, now, told)
        waivers = expiry.waivers_ending(
            expiry.concerned(self.config.waivers, self.record.run.environments), expiry.today_of(now), told
        )
        keys = [(item.key, *item.passed) for item in certificates]
        keys += [(item.key, *item.passed) for item in waivers]
        for key in (key for some in keys for key in some):
            statement = upsert(TOLD).values(schedule=self.schedule.name, what=key, at=now)
            connection.execute(statement.on_conflict_do_nothing())
        connection.execute(delete(TOLD).where(TOLD.c.at < now - timedelta(days=1000)))
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


def standings(record: RunRecord) -> tuple[Standing, ...]:
    """How each environment of a run stands; notes are not counted among failures."""
    result = []
    for name in record.run.environments:
        targets = [target for target in record.targets if target.environment == name]
        verdicts = [v for target in targets for v in target.verdicts if v.severity is not Severity.INFO]
        result.append(
            Standing(
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


def _sections(told: Mapping[Turn, Sequence[tuple[Key, Finding]]]) -> list[Section]:
    failing = [item for item in told.get(Turn.BEGAN, ()) if not _is_unknown(item[0])]
    unknown = [item for item in told.get(Turn.BEGAN, ()) if _is_unknown(item[0])]
    mended = [item for item in told.get(Turn.ENDED, ()) if not item[1].waived and not _is_unknown(item[0])]
    seen = [item for item in told.get(Turn.ENDED, ()) if _is_unknown(item[0])]
    waived = [item for item in told.get(Turn.ENDED, ()) if item[1].waived]
    flapping = list(told.get(Turn.FLAPS, ()))
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
        Section("fixed", Level.SUCCESS, "Fixed: met again", f"{len(mended)} fixed", _entries(mended)),
        Section("fixed", Level.INFO, "Accepted by a waiver", f"{len(waived)} waived", _entries(waived)),
        Section("indeterminate", Level.SUCCESS, "Assessed again", f"{len(seen)} assessed again", _entries(seen)),
    ]  # fmt: skip


def _is_unknown(key: Key) -> bool:
    return key.rule == alarms.UNREACHABLE or key.rule.startswith(alarms.UNKNOWN)


def _entries(items: Sequence[tuple[Key, Finding]]) -> tuple[Entry, ...]:
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


def _facts(record: RunRecord, state: State) -> dict[str, Any]:
    """What the metrics show of the schedule's last run."""
    verdicts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    targets: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    certificates: dict[tuple[str, str, str], float] = {}
    for target in record.targets:
        targets[target.environment][target.status.value] += 1
        for verdict in target.verdicts:
            status = "waived" if verdict.waiver else verdict.status.value
            verdicts[target.environment][f"{status} {verdict.severity.value}"] += 1
        for deployment in deployments_of(target):
            name = (target.environment, target.address, deployment.leaf.fingerprint[:16])
            certificates[name] = deployment.leaf.not_after.timestamp()
    soonest = sorted(certificates.items(), key=lambda item: item[1])[:_MOST_CERTIFICATES]
    run = record.run
    return {
        "run_id": run.id,
        "complete": state is State.DONE,
        "started_at": run.started_at.timestamp(),
        "finished_at": run.finished_at.timestamp(),
        "verdicts": {name: dict(counts) for name, counts in verdicts.items()},
        "targets": {name: dict(counts) for name, counts in targets.items()},
        "certificates": [[*name, end] for name, end in soonest],
    }
