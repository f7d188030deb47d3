"""The state file, and what the service watches, as metrics. What the configuration no longer has is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

import scanner
from reports.export.numbers import families_of
from scanner.notify.outbox import Outbox
from scanner.service.health import oldest_messages
from scanner.state.database import FACTS, RECEIVERS, STARTS
from scanner.state.ledger import ENDED, State

if TYPE_CHECKING:
    from scanner.service.loop import Service


class StateCollector:
    """Asked for each scrape."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """All of them; those of the service itself alone where the state file cannot be read."""
        try:
            kept = [*self._next_starts(), *self._receiver_metrics(), *self._start_metrics()]
            with self._engine.begin() as connection:
                facts = {row.schedule: row.facts for row in connection.execute(select(FACTS)).all()}
            kept += families_of(self._configured(facts))
        except SQLAlchemyError:
            yield from self._service_metrics(readable=False)
            return
        yield from self._service_metrics(readable=True)
        yield from kept

    def _configured(self, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The last runs without schedules, environments and hosts that were taken out of the configuration since."""
        inventory = self._service.setup.config.inventory
        environments = {item.name for item in inventory.environments}
        addresses = {(item.environment, item.address) for item in inventory.endpoints}
        return {
            schedule: {
                **run,
                "targets": {name: counts for name, counts in run["targets"].items() if name in environments},
                "verdicts": {name: counts for name, counts in run["verdicts"].items() if name in environments},
                "owners": {name: counts for name, counts in run.get("owners", {}).items() if name in environments},
                "certificates": [item for item in run["certificates"] if (item[0], item[1]) in addresses],
            }
            for schedule, run in facts.items()
            if schedule in self._service.setup.schedules
        }

    def _service_metrics(self, *, readable: bool) -> Iterator[Metric]:
        info = GaugeMetricFamily("nightseal_info", "The service's version", labels=["version"])
        info.add_metric([scanner.__version__], 1)
        yield info
        watch = self._service.watch
        failed = float(bool(watch.config_problem))
        yield GaugeMetricFamily("nightseal_config_refused", "1 if the configuration on disk is refused", failed)
        broken = float(bool(self._service.state_problem) or not readable)
        yield GaugeMetricFamily("nightseal_state_broken", "1 if the state file cannot be used", broken)
        unwritable = GaugeMetricFamily(
            "nightseal_place_unwritable",
            "1 if a place cannot be written to, for example because the disk is full",
            labels=["place"],
        )
        free = GaugeMetricFamily("nightseal_place_free_bytes", "Room on the disk of a place", labels=["place"])
        for name in sorted(watch.places):
            unwritable.add_metric([name], float(name in watch.problems))
            if name in watch.free_bytes:
                free.add_metric([name], watch.free_bytes[name])
        yield from (unwritable, free)

    def _next_starts(self) -> Iterator[Metric]:
        upcoming = GaugeMetricFamily("nightseal_next_start_timestamp_seconds", "Next start", labels=["schedule"])
        for name, due in self._service.next_starts().items():
            upcoming.add_metric([name], due.timestamp())
        yield upcoming

    def _receiver_metrics(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("nightseal_outbox_messages", "Messages that wait", labels=["receiver"])
        lengths = Outbox(self._engine).length()
        for name in sorted({*self._service.setup.urls, *lengths}):
            waiting.add_metric([name], lengths.get(name, 0))
        yield waiting
        oldest = GaugeMetricFamily(
            "nightseal_outbox_oldest_timestamp_seconds",
            "Time since which the oldest message has been waiting; absent if none is",
            labels=["receiver"],
        )
        failing = GaugeMetricFamily(
            "nightseal_receiver_failing_since_timestamp_seconds",
            "Time since which a receiver has accepted no message; absent if it accepts them",
            labels=["receiver"],
        )
        with self._engine.begin() as connection:
            for name, since in sorted(oldest_messages(connection).items()):
                oldest.add_metric([name], since.timestamp())
            for row in connection.execute(select(RECEIVERS).where(RECEIVERS.c.failing_since.is_not(None))).all():
                failing.add_metric([row.name], row.failing_since.timestamp())
        yield from (oldest, failing)

    def _start_metrics(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "nightseal_starts", "Attempts to start a run, by outcome", labels=["schedule", "state"]
        )
        # From the beginning: what is born with 1 has not increased, and nobody would be woken by a first failure.
        numbers = {(name, state.value): 0 for name in self._service.setup.schedules for state in ENDED}
        for (schedule, state), number in sorted({**numbers, **self._service.ledger.totals()}.items()):
            total.add_metric([schedule, state], number)
        success = GaugeMetricFamily(
            "nightseal_last_success_timestamp_seconds", "When the last complete run ended", labels=["schedule"]
        )
        failed = GaugeMetricFamily(
            "nightseal_last_start_failed", "1 if the last start ended without a complete run", labels=["schedule"]
        )
        ends = self._service.ledger.last_ended()
        for name in sorted(self._service.setup.schedules):
            failed.add_metric([name], float(name in ends and ends[name].went_wrong))
        late = GaugeMetricFamily("nightseal_last_start_late", "1 if the last start was late", labels=["schedule"])
        newest = select(func.max(STARTS.c.id)).where(STARTS.c.run_id.is_not(None)).group_by(STARTS.c.schedule)
        ended = select(STARTS.c.schedule, func.max(STARTS.c.finished_at)).where(STARTS.c.state == State.DONE)
        with self._engine.begin() as connection:
            for schedule, moment in connection.execute(ended.group_by(STARTS.c.schedule)).all():
                if schedule in self._service.setup.schedules:
                    success.add_metric([schedule], moment.timestamp())
            for row in connection.execute(select(STARTS).where(STARTS.c.id.in_(newest))).all():
                late.add_metric([row.schedule], float(row.late))
        yield from (total, success, failed, late)
