"""`nightseal daemon`: the configured schedules, until SIGTERM, and what it remembers of them."""

from __future__ import annotations

import logging
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from reports.deliver import deliver
from scanner.app.reading import config_to_read
from scanner.app.tables import print_rows
from scanner.confidential import without
from scanner.config.loading import Config
from scanner.errors import NightsealError, UsageError
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.policies import load_policy
from scanner.jobs.selection import schedule_of, select
from scanner.notify.outbox import Outbox
from scanner.service import logs, setup
from scanner.service.alive import not_alive
from scanner.service.control import ControlServer, RunOrder
from scanner.service.lock import ServiceLock
from scanner.service.log_fields import log_error, log_with, of_state
from scanner.service.loop import Service
from scanner.service.monitoring import MonitoringServer
from scanner.service.orders import LONGEST_SOCKET, state_of
from scanner.service.systemd import Supervisor
from scanner.state.database import open_state, read_state
from scanner.state.ledger import Ledger

_LOG = logging.getLogger("nightseal.daemon")


_DELIVER_EVERY_S = 2.0


_LAST_DELIVERY_S = 10.0


_SHOWN = 30


def daemon(config_path: Path, *, only_status: bool, only_alive: bool) -> int:
    """Run the configured schedules until told to stop."""
    if only_alive:
        return _ask(config_path)
    if only_status:
        return _show(config_to_read(config_path))
    form = logs.form_of(config_path)
    logs.configure(form)
    try:
        _started(config_path, setup.load(config_path))
    except NightsealError as error:
        if form != "json":
            raise
        # Whatever collects the log reads this too, and nothing else is written.
        log_error(_LOG, logging.ERROR, error, exit_status=int(error.exit_code))
        return error.exit_code
    return ExitStatus.OK


def _started(config_path: Path, current: setup.Setup) -> None:
    logs.configure(current.config.form.daemon.log)
    current.warn()
    lock = ServiceLock(current.state)
    lock.acquire()
    try:
        engine = open_state(current.state)
        _serve(Service(config_path, current, engine, Supervisor()), engine)
    finally:
        lock.release()


def _serve(service: Service, engine: Engine) -> None:
    service.handle_signals()
    current = service.setup
    control = None
    if len(os.fsencode(current.socket)) <= LONGEST_SOCKET:  # `current.warn` told of a longer one
        control = ControlServer(
            current.socket, service.ledger, lambda order: _check(service, order), service.wake, service.stopping
        )
    address = current.config.form.daemon.http
    monitoring = MonitoringServer(address, service, engine) if address else None
    if monitoring:
        _LOG.info("monitoring: http://%(address)s/healthz and /metrics", {"address": monitoring.address})
    deliveries = threading.Thread(target=_deliver, args=(service, engine), name="deliveries", daemon=True)
    deliveries.start()
    try:
        service.run()
    finally:
        service.stopping.set()
        service.messages.set()
        if control:
            control.stop()
        if monitoring:
            monitoring.stop()
        deliveries.join(_LAST_DELIVERY_S)
        _LOG.info("stopped")


def _deliver(service: Service, engine: Engine) -> None:
    """Deliver what waits, until the service ends: at once where a run has ended."""
    outbox, problem = Outbox(engine), ""
    while not service.stopping.is_set():
        service.messages.wait(_DELIVER_EVERY_S)
        service.messages.clear()
        if service.stopping.is_set():
            return
        try:
            outbox.deliver_due(service.setup.urls, deliver, datetime.now(UTC))
            service.last_delivery = time.monotonic()
            problem = ""
        except SQLAlchemyError as error:
            fields = of_state(service.setup.state, error)
            if problem != (problem := fields["reason"]):  # once, and not every two seconds
                log_with(_LOG, logging.WARNING, f"messages wait: {problem}", fields)
        except Exception:  # noqa: BLE001  # one message must not silence all that come after it
            _LOG.exception("messages wait")


def _check(service: Service, order: RunOrder) -> None:
    """Refuse what cannot be carried out, while whoever asks is still there."""
    config = service.setup.config
    if order.schedule:
        schedule_of(config, order.schedule)
    select(config, order.environments)
    if order.policy:
        load_policy(order.policy, base=config.folder)


def _ask(config_path: Path) -> int:
    """Whether the service is alive: by its monitoring, or where it has none, by its lock."""
    config = config_to_read(config_path)
    address = config.form.daemon.http
    problem = not_alive(address) if address else ServiceLock(state_of(config)).free()
    if problem:
        click.echo(without(f"nightseal: {problem}"), err=True)
        return ExitStatus.INTERNAL
    click.echo("The service is alive.")
    return ExitStatus.OK


def _show(config: Config) -> int:
    state = state_of(config)
    if not state.exists():
        raise UsageError(f"{state}: there is none; `nightseal daemon` has not run with this configuration yet")
    ledger = Ledger(read_state(state))
    rows = [
        (
            start.schedule or "(one-off)",
            f"{start.due:%Y-%m-%d %H:%M:%S}",
            start.attempt,
            f"{start.state}, late" if start.late else start.state,
            start.run_id,
            start.reason,
        )
        for start in ledger.recent(_SHOWN)
    ]
    print_rows(["schedule", "due", "attempt", "state", "run", "reason"], rows)
    return ExitStatus.OK
