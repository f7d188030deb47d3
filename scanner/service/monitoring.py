"""What watches the watcher: /healthz and /metrics over HTTP, on loopback unless configured otherwise.

Every value is read from the state file when it is asked for, so that a restart changes none.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

import scanner
from scanner.errors import UsageError
from scanner.inventory import address_of
from scanner.notify.outbox import Outbox
from scanner.service.address import http_address
from scanner.state.database import FACTS, RECEIVERS, STARTS
from scanner.state.ledger import State

if TYPE_CHECKING:
    from scanner.service.loop import Service

_STUCK_S = 60.0
"""A loop that has not come round for so long is stuck."""
_OVERDUE = timedelta(minutes=10)
_REQUEST_TIMEOUT_S = 10.0


class MonitoringServer:
    """Serves until it is stopped."""

    def __init__(self, address: str, service: Service, engine: Engine) -> None:
        registry = CollectorRegistry()
        registry.register(StateCollector(service, engine))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        _Handler.metrics = staticmethod(lambda: generate_latest(registry))
        _Handler.health = staticmethod(lambda: health(service))
        try:
            host, port = http_address(address)
            self._server = _server_of(host)((host, port), _Handler)
        except (OSError, ValueError) as error:
            raise UsageError(f"{address}: cannot listen there: {error} ([daemon] http)") from error
        self._server.daemon_threads = True
        self.address = address_of(host, self._server.server_port)
        threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _SixServer(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _server_of(host: str) -> type[ThreadingHTTPServer]:
    return _SixServer if ":" in host else ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    server_version = "nightseal"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT_S
    metrics: Callable[[], bytes]
    health: Callable[[], tuple[bool, dict[str, Any]]]

    def do_GET(self) -> None:  # the standard library's name
        """Answer."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            well, body = self.health()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, json.dumps(body).encode(), "application/json")
        elif path == "/metrics":
            try:
                self._send(HTTPStatus.OK, self.metrics(), CONTENT_TYPE_LATEST)
            except SQLAlchemyError as error:
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode(), "text/plain; charset=utf-8")
        else:
            self._send(HTTPStatus.NOT_FOUND, b"/healthz and /metrics are here\n", "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        """A line for each scrape would tell nobody anything."""


def health(service: Service) -> tuple[bool, dict[str, Any]]:
    """Whether the service does its work, and what keeps it from it."""
    problems = []
    silence = time.monotonic() - service.last_tick
    if silence > _STUCK_S:
        problems.append(f"the main loop has not come round for {silence:.0f} s")
    if service.state_problem:
        problems.append(f"the state file cannot be used: {service.state_problem}")
    try:
        starts = service.next_starts()
    except SQLAlchemyError as error:
        starts = {}
        problems.append(f"the state file cannot be read: {getattr(error, 'orig', error)}")
    now = datetime.now(UTC)
    problems += [
        f"schedule {name} was due at {due.isoformat()}" for name, due in starts.items() if due < now - _OVERDUE
    ]
    body = {
        "status": "failing" if problems else "ok",
        "version": scanner.__version__,
        "problems": problems,
        "next_starts": {name: due.astimezone(UTC).isoformat() for name, due in sorted(starts.items())},
    }
    return not problems, body


class StateCollector:
    """Turns the state file into metrics."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        yield from self._service_metrics()
        yield from self._start_metrics()
        with self._engine.begin() as connection:
            facts = {row.schedule: row.facts for row in connection.execute(select(FACTS)).all()}
        yield from _fact_metrics(facts)

    def _service_metrics(self) -> Iterable[Metric]:
        info = GaugeMetricFamily("nightseal_info", "The service's version", labels=["version"])
        info.add_metric([scanner.__version__], 1)
        yield info
        failed = float(self._service.reload_failed)
        yield GaugeMetricFamily("nightseal_config_refused", "1 where the configuration on disk is refused", failed)
        broken = float(bool(self._service.state_problem))
        yield GaugeMetricFamily("nightseal_state_broken", "1 where the state file cannot be used", broken)
        upcoming = GaugeMetricFamily("nightseal_next_start_timestamp_seconds", "Next start", labels=["schedule"])
        for name, due in self._service.next_starts().items():
            upcoming.add_metric([name], due.timestamp())
        yield upcoming
        waiting = GaugeMetricFamily("nightseal_outbox_messages", "Messages that wait", labels=["receiver"])
        lengths = Outbox(self._engine).length()
        for name in sorted({*self._service.setup.urls, *lengths}):
            waiting.add_metric([name], lengths.get(name, 0))
        yield waiting
        failing = GaugeMetricFamily(
            "nightseal_receiver_failing_since_timestamp_seconds",
            "Since when a receiver takes no message; missing where it does",
            labels=["receiver"],
        )
        with self._engine.begin() as connection:
            for row in connection.execute(select(RECEIVERS).where(RECEIVERS.c.failing_since.is_not(None))).all():
                failing.add_metric([row.name], row.failing_since.timestamp())
        yield failing

    def _start_metrics(self) -> Iterable[Metric]:
        total = CounterMetricFamily(
            "nightseal_starts", "Attempts at starts, by what became of them", labels=["schedule", "state"]
        )
        for (schedule, state), number in sorted(self._service.ledger.totals().items()):
            total.add_metric([schedule, state], number)
        success = GaugeMetricFamily(
            "nightseal_last_success_timestamp_seconds", "When the last complete run ended", labels=["schedule"]
        )
        late = GaugeMetricFamily("nightseal_last_start_late", "1 where the last start was late", labels=["schedule"])
        newest = select(func.max(STARTS.c.id)).where(STARTS.c.run_id.is_not(None)).group_by(STARTS.c.schedule)
        ended = select(STARTS.c.schedule, func.max(STARTS.c.finished_at)).where(STARTS.c.state == State.DONE)
        with self._engine.begin() as connection:
            for schedule, moment in connection.execute(ended.group_by(STARTS.c.schedule)).all():
                success.add_metric([schedule], moment.timestamp())
            for row in connection.execute(select(STARTS).where(STARTS.c.id.in_(newest))).all():
                late.add_metric([row.schedule], float(row.late))
        yield from (total, success, late)


def _fact_metrics(facts: dict[str, dict[str, Any]]) -> Iterable[Metric]:
    duration = GaugeMetricFamily("nightseal_run_duration_seconds", "Duration of the last run", labels=["schedule"])
    targets = GaugeMetricFamily(
        "nightseal_targets", "Targets of the last run", labels=["schedule", "environment", "status"]
    )
    verdicts = GaugeMetricFamily(
        "nightseal_verdicts", "Verdicts of the last run", labels=["schedule", "environment", "status", "severity"]
    )
    certificates = GaugeMetricFamily(
        "nightseal_certificate_expiry_timestamp_seconds",
        "When a certificate ends",
        labels=["environment", "address", "fingerprint"],
    )
    ends: dict[tuple[str, str, str], float] = {}
    for schedule, fact in sorted(facts.items()):
        duration.add_metric([schedule], fact["finished_at"] - fact["started_at"])
        for environment, counts in fact["targets"].items():
            for status, number in counts.items():
                targets.add_metric([schedule, environment, status], number)
        for environment, counts in fact["verdicts"].items():
            for key, number in counts.items():
                verdicts.add_metric([schedule, environment, *key.split(" ")], number)
        ends |= {(environment, address, name): end for environment, address, name, end in fact["certificates"]}
    for labels, end in ends.items():
        certificates.add_metric(list(labels), end)
    yield from (duration, targets, verdicts, certificates)
