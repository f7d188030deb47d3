"""What follows a run that is in the history: alarms, messages and numbers for the metrics, in one transaction.

It is a function of the run and of the state file, so that it can be done again where a process was killed before it
was done, and is done once. It waits for no report to be drawn: a message that takes one along is held back until it is
there, and no longer than `HELD`. What became of the reports is the second transaction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path

from msgspec import Struct, structs
from sqlalchemy import Connection, Engine, func, select, update

from reports.deliver import takes_files
from reports.deliver_message import EnvironmentSummary, Notification, Section
from scanner.confidential import without
from scanner.config.form import ScheduleForm
from scanner.config.loading import Config
from scanner.history.attribution import OURS, ChangeCause
from scanner.history.diff import diff
from scanner.history.run_diff import RunDiff
from scanner.history.scope import ConfiguredScope
from scanner.notify import alarm_store, alarms, expiry, run_metrics, sections, told
from scanner.notify.alarms import UNKNOWN, UNREACHABLE, Alarm, CheckResult, Condition, Key, Transition
from scanner.notify.coverage import coverage
from scanner.notify.outbox import let_go
from scanner.notify.owners import owners_of
from scanner.notify.routing import enqueue_for_owners, enqueue_for_receivers
from scanner.notify.sections import AlarmChange
from scanner.state.database import STARTS
from scanner.state.ledger import ENDED, Ledger, Start, State
from scanner.verdict import RunRecord

_LOOKED_AT = "looked at "
"""Stands before an endpoint among what was told."""
_CERTIFICATE_AT = "certificate at {} {}"
"""Among what was told: that this certificate came to an endpoint."""
_WAIVERS_KEPT = "what waivers accept"
"""Among what was told: alarms remember what waivers accept since then."""


class FinishedRun(Struct, frozen=True):
    """What there is of a run.

    `results` are its check results after the second look, `previous` is the run before it, `reports` are the places of
    its reports, which are being drawn, and `problems` are sentences about what went wrong with the run itself.
    """

    config: Config
    schedule: ScheduleForm
    start: Start
    record: RunRecord
    previous: RunRecord | None
    results: Mapping[Key, CheckResult]
    reports: Sequence[Path]
    problems: Sequence[str]

    def tell(self, engine: Engine, now: datetime) -> bool:
        """Change the alarms, enqueue the messages and keep the numbers, or nothing of it; False where that is done."""
        earlier = Ledger(engine).earlier_attempts(self.start)
        for receiver in self.config.receivers if self.reports else ():
            # What knows that takes a second to load, in which nobody else could write into the state file.
            takes_files(receiver.url)
        with engine.begin() as connection:
            untold = (STARTS.c.id == self.start.id) & STARTS.c.state.not_in((State.TOLD, *ENDED))
            if connection.execute(update(STARTS).where(untold).values(state=State.TOLD)).rowcount != 1:
                return False
            found = [sections.run_problems(self.record, self.start, earlier, self.problems)]
            if not self._asked("policy"):
                # Judged by another policy than the schedule's, it says nothing of what was told by that.
                narrowed = bool(self._asked("environments"))
                difference = diff(self.previous, self.record) if self.previous is not None else None
                found += [*sections.changes(self._update_alarms(connection, now, difference))]
                found += [*self._replaced_certificates(connection, now, difference), *self._endings(connection, now)]
                # A run of fewer environments, which a person asked for, covers less on purpose.
                found += [] if narrowed else [self._coverage()]
                owners = owners_of(self.config)
                run_metrics.save(connection, self.schedule.name, self.record, owners, narrowed=narrowed)
            notification = self._notification([section for section in found if section.entries])
            complete = self.record.run.complete
            enqueue_for_receivers(
                connection, notification, self.config, self.schedule,
                start_id=self.start.id, complete=complete, now=now,
            )  # fmt: skip
            enqueue_for_owners(
                connection, notification, self._summaries_of, self.config, self.schedule,
                start_id=self.start.id, complete=complete, now=now,
            )  # fmt: skip
        return True

    def end(self, engine: Engine, now: datetime, exit_status: int, summary: str, missing: Sequence[str]) -> State:
        """End the start, let go what waited for its reports, and tell which are missing, or nothing of it at all."""
        state = State.DONE if self.record.run.complete else State.INCOMPLETE
        with engine.begin() as connection:
            ending = {"state": state, "finished_at": now, "exit_status": exit_status, "summary": summary}
            ending["reason"] = without("; ".join((*self.problems, *missing)))
            still_open = (STARTS.c.id == self.start.id) & STARTS.c.state.not_in(ENDED)
            if connection.execute(update(STARTS).where(still_open).values(ending)).rowcount != 1:
                return state
            let_go(connection, self.start.id)
            if missing:
                enqueue_missing_reports(
                    connection, self.record, missing, self.config, self.schedule, start_id=self.start.id, now=now
                )
        return state

    def _coverage(self) -> Section:
        return coverage(self.previous, self.record, ConfiguredScope.of(self.config.inventory))

    def _summaries_of(self, endpoints: frozenset[str]) -> tuple[EnvironmentSummary, ...]:
        """The counts of each environment, of some endpoints alone."""
        targets = tuple(target for target in self.record.targets if target.endpoint in endpoints)
        theirs = sections.environment_summaries(dataclasses.replace(self.record, targets=targets))
        return tuple(summary for summary in theirs if summary.targets)

    def _notification(self, found: Sequence[Section]) -> Notification:
        base = self.config.form.daemon.report_base
        links = tuple((path.suffix[1:], f"{base}/{path.name}") for path in self.reports) if base else ()
        run = self.record.run
        return Notification(
            self.schedule.name,
            run.id,
            run.started_at,
            tuple(found),
            sections.environment_summaries(self.record),
            tuple(self.reports),
            links,
            being_drawn=True,
        )

    def _update_alarms(self, connection: Connection, now: datetime, difference: RunDiff | None) -> list[AlarmChange]:
        """Take the results to the alarms; return what changed."""
        known = alarm_store.load(connection, self.schedule.name)
        if not known and self.previous is not None and not self._first_told(connection):
            known = alarms.from_record(self.previous)
        before = alarms.results_of(self.previous) if self.previous is not None else {}
        looked_at = self._looked_at(connection, known, before)
        waivers_kept = not told.is_first(connection, self.schedule.name, _WAIVERS_KEPT, now)
        changed: list[AlarmChange] = []
        after = self._still_meant(known)
        for key, result in {**self.results, **alarms.absent(self.record, self.results, after)}.items():
            was, alarm = before.get(key), after.get(key, Alarm())
            first_look = key.endpoint not in looked_at
            failed = was is not None and (was.waived or was.condition is Condition.FAILING)
            # A state file of an older version does not say what waivers accepted: what nobody knows to be new is not.
            unsure = was is None and not waivers_kept
            after[key], transition = alarms.update(alarm, result, now, failed_before=first_look or failed or unsure)
            if transition is not None:
                changed.append(AlarmChange(key, transition, result, alarm, after[key], first_look=first_look))
        alarm_store.save(connection, self.schedule.name, after)
        told.renew(connection, self.schedule.name, (_LOOKED_AT + name for name in self._endpoints()), now)
        return self._with_causes(changed, difference)

    def _asked(self, name: str) -> object:
        """What a person asked for instead of what the schedule has; None where the schedule began by itself."""
        return (self.start.asked or {}).get(name)

    def _endpoints(self) -> set[str]:
        return {target.endpoint for target in self.record.targets}

    def _looked_at(self, connection: Connection, known: Mapping[Key, Alarm], before: Mapping[Key, object]) -> set[str]:
        """The endpoints that this schedule has looked at before, as far as anything tells."""
        names = told.known(connection, self.schedule.name)
        remembered = {name.removeprefix(_LOOKED_AT) for name in names if name.startswith(_LOOKED_AT)}
        return remembered | {key.endpoint for key in known} | {key.endpoint for key in before}

    @staticmethod
    def _with_causes(changed: list[AlarmChange], difference: RunDiff | None) -> list[AlarmChange]:
        """The changes with what each comes from, as far as the two runs tell."""
        causes: dict[Key, ChangeCause] = {}
        if difference is not None:
            for item in difference.verdict_changes:
                causes[Key(item.target.endpoint, item.rule, item.subject)] = item.cause
                causes[Key(item.target.endpoint, UNKNOWN + item.rule, item.subject)] = item.cause
            for silent in (*difference.now_unreachable, *difference.back):
                causes[Key(silent.target.endpoint, UNREACHABLE)] = silent.cause
        return [structs.replace(item, cause=_cause(item, causes.get(item.key))) for item in changed]

    def _first_told(self, connection: Connection) -> bool:
        """Whether this service has reported a run of the schedule before."""
        reported = (STARTS.c.schedule == self.schedule.name) & (STARTS.c.state == State.DONE)
        return bool(connection.scalar(select(func.count()).where(reported & (STARTS.c.id != self.start.id))))

    def _still_meant(self, known: Mapping[Key, Alarm]) -> dict[Key, Alarm]:
        """The alarms that are about something which this configuration still scans and judges.

        A run of some of the schedule's environments says nothing of the others.
        """
        if not self.record.run.complete:
            return dict(known)
        visited, narrowed = set(self.record.run.environments), bool(self._asked("environments"))
        endpoints = self._endpoints()
        absent = {domain.endpoint for domain in self.record.run.absent_domains}
        # Each environment has a policy of its own.
        rules = {(target.environment, verdict.rule) for target in self.record.targets for verdict in target.verdicts}
        return {
            key: alarm
            for key, alarm in known.items()
            # A domain at which nobody answers tonight may be back tomorrow, with what was told of it.
            if key.endpoint in absent
            or (narrowed and key.environment not in visited)
            or (key.endpoint in endpoints and (key.rule == alarms.UNREACHABLE or (key.environment, key.about) in rules))
        }

    def _replaced_certificates(
        self, connection: Connection, now: datetime, difference: RunDiff | None
    ) -> list[Section]:
        """Certificates that took others' places: each is told of once at an endpoint.

        A server that goes back and forth between two is no news every night.
        """
        came = [
            (_CERTIFICATE_AT.format(item.target.endpoint, item.after.fingerprint), item)
            for item in (difference.certificates if difference else ())
            if item.after is not None
        ]
        known = told.known(connection, self.schedule.name)
        told.remember(connection, self.schedule.name, (name for name, _ in came), now)
        return sections.certificate_changes([item for name, item in came if name not in known])

    def _endings(self, connection: Connection, now: datetime) -> list[Section]:
        """Certificates and waivers that end soon; each step is told once."""
        known = told.known(connection, self.schedule.name)
        certificates = expiry.expiring(self.record, now, known)
        waivers = expiry.waivers_ending(
            expiry.concerned(self.config.waivers, self.record.run.environments), expiry.today_of(now), known
        )
        steps = [(item.key, *item.passed) for item in certificates] + [(item.key, *item.passed) for item in waivers]
        told.remember(connection, self.schedule.name, chain.from_iterable(steps), now)
        return sections.endings(certificates, waivers, now)


def _cause(change: AlarmChange, cause: ChangeCause | None) -> ChangeCause | None:
    """What a change comes from: two runs do not tell what ended over several nights, nor every silence of ours."""
    if change.transition is Transition.RESOLVED and alarms.has_moved(change.before, change.result):
        return ChangeCause.ADDRESSES
    return ChangeCause.NETWORK if change.result.silence in OURS else cause


def enqueue_missing_reports(  # noqa: PLR0913  # what, of which run, for whom, when
    connection: Connection,
    record: RunRecord,
    missing: Sequence[str],
    config: Config,
    schedule: ScheduleForm,
    *,
    start_id: int,
    now: datetime,
) -> None:
    """Tell a schedule's receivers which reports could not be drawn of a run that they were told of."""
    run = record.run
    notification = Notification(schedule.name, run.id, run.started_at, (sections.missing_reports(missing),))
    enqueue_for_receivers(connection, notification, config, schedule, start_id=start_id, complete=False, now=now)
