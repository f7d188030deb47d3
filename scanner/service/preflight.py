"""Says of a configuration what the night would say of it: everything that it names is opened before anything starts.

`config check`, `run`, the start of the service and its reload ask here: none of them takes what another refuses, but
for receivers' variables, without which `run` does, since it tells nobody. What cannot work is an error, and all errors
are told at once. What can be mended while the service runs (a folder that may not be written to, a client certificate
that has expired) is a warning, so that it keeps no other host from being scanned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from msgspec import Struct

from scanner.config.loading import Config
from scanner.counting import counted
from scanner.errors import ConfigError, PolicyMissingError, Problem, UsageError, nearest
from scanner.jobs.fleet import fleet_of
from scanner.jobs.looks import check_looks
from scanner.jobs.policies import check_policy
from scanner.jobs.proxies import carrying_all
from scanner.jobs.waiting_places import waiting_places
from scanner.service.address import http_address, not_here
from scanner.service.cron import ScheduleTrigger, trigger_of
from scanner.service.orders import socket_of, state_of
from scanner.service.preflight_places import (
    history_place,
    place,
    socket_problem,
    socket_warning,
    state_problem,
)
from scanner.service.spelling import spelled

_BEGIN: Final = "`nightseal config init` writes an example"
_SHIPPED_STORE: Final = "mozilla"
"""Comes with a library, whole: there is nothing to check of it."""
_FIELDS_WITH_SECONDS: Final = 6
_MOST_NAMED: Final = 3
"""Of entries with the same warning: more would bury other warnings."""


class Checked(Struct, frozen=True):
    """What was found of a configuration that can be used. `triggers` are its schedules' starts, by name."""

    warnings: tuple[Problem, ...]
    triggers: Mapping[str, ScheduleTrigger]


def check(config: Config) -> Checked:
    """Open all that a configuration names.

    Raises:
        ConfigError: something cannot be used; lists every problem. No receiver's address is in it: they hold secrets.
    """
    found = _Found(config)
    found.look()
    if found.problems:
        raise ConfigError(config.source, config.placed(found.problems))
    return Checked((*config.warnings, *config.placed(found.warnings)), found.triggers)


class _Found:
    """The problems of one configuration."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.triggers: dict[str, ScheduleTrigger] = {}

    def look(self) -> None:
        """Look at everything."""
        if not self._config.inventory.endpoints:
            self.problems.append(Problem("environment", "nothing is configured to be scanned", _BEGIN))
        self._policies()
        self._schedules()
        try:
            check_looks(self._config)
        except ConfigError as error:
            self.problems += error.problems
        self._scan()
        self._opened()
        self._places()
        self._monitoring()
        self.warnings += _connect_to(self._config)

    def _policies(self) -> None:
        form = self._config.form
        named = {form.nightseal.policy: "nightseal.policy"}
        for kind, items in (("environment", form.environment), ("schedule", form.schedule)):
            for item in items:
                if item.policy:
                    named.setdefault(item.policy, f"{kind}[{item.name}].policy")
        for name, key in sorted(named.items()):
            try:
                check_policy(name, base=self._config.folder)
            except PolicyMissingError as error:
                self.problems.append(error.named_by(key))
            except ConfigError as error:
                self.problems += (
                    Problem(problem.key, problem.message, problem.hint, problem.place or error.source)
                    for problem in error.problems
                )

    def _schedules(self) -> None:
        environments = [item.name for item in self._config.form.environment]
        for schedule in self._config.schedules:
            try:
                trigger = self.triggers[schedule.name] = trigger_of(schedule, self._config.source)
            except ConfigError as error:
                self.problems += error.problems
            else:
                self.warnings += _seconds(schedule.name, trigger)
            # A name without a match is refused where the form is read; a run would find a glob's out at night.
            self.problems += (
                Problem(f"schedule[{schedule.name}].environments", f'no environment matches "{name}"',
                        nearest(name.strip("*"), environments))
                for name in schedule.environments
                if not any(fnmatchcase(other, name) for other in environments)
            )  # fmt: skip
        told = {name for schedule in self._config.schedules for name in schedule.notify}
        told |= {name for owner in self._config.form.owner for name in owner.notify}
        if self._config.schedules:
            self.warnings += (
                Problem(f"notify[{receiver.name}]", "no schedule sends it anything", "name it in a schedule's notify")
                for receiver in self._config.receivers
                if receiver.name not in told
            )

    def _scan(self) -> None:
        scan = self._config.scan
        try:
            carrying_all(scan.proxy)
        except UsageError as error:
            self.problems.append(Problem("scan.proxy", str(error)))
        try:
            fleet = fleet_of(self._config)
        except UsageError as error:
            self.problems.append(Problem("dispatch", str(error)))
        else:
            self.warnings += _without_workers(self._config) if fleet is None else ()
        self.warnings += _passwords(self._config)

    def _opened(self) -> None:
        """What is named and takes long to open, or rather what opens it takes long to load."""
        config, form = self._config, self._config.form
        stores = {config.scan.trust_store, *(item.trust_store for item in form.environment if item.trust_store)}
        applications = (item for each in config.inventory.endpoints for item in each.applications)
        if (
            stores == {_SHIPPED_STORE}
            and not config.scan.ct_logs
            and not config.scan.published_keys
            and not config.receivers
            and all(item.client_certificate is None for item in applications)
        ):
            return
        from scanner.service import preflight_opened as opened  # noqa: PLC0415  # loads only where it is named

        for problems, warnings in (opened.trust_stores(config), opened.client_certificates(config)):
            self.problems += problems
            self.warnings += warnings
        self.problems += opened.ct_logs(config)
        self.problems += opened.published_keys(config)
        self.problems += opened.receivers(config)

    def _places(self) -> None:
        form = self._config.form
        history, output = (self._config.resolve(name) for name in (form.nightseal.history, form.nightseal.output))
        if "://" not in history:
            self._take(place("nightseal.history", Path(history).absolute()))
        self._take(history_place(history))
        if "://" in output:
            hint = "reports are files: name a folder, and copy it from there"
            self.problems.append(Problem("nightseal.output", f"{output} is not a directory", hint))
        else:
            self._take(place("nightseal.output", Path(output).absolute()))
        for waiting in waiting_places(self._config).runs():
            message = f"run {waiting.name}, which could not be added to it, waits in {waiting.parent}"
            self.warnings.append(Problem("nightseal.history", message, "the next run takes it in"))
        if form.schedule:
            self._take(place("daemon.state", state_of(self._config).parent, made=False))
            self.problems += state_problem(state_of(self._config))
            self.problems += socket_problem(socket_of(self._config))
            self.warnings += socket_warning(socket_of(self._config))

    def _take(self, found: tuple[Problem | None, Problem | None]) -> None:
        problem, warning = found
        self.problems += [problem] if problem else []
        self.warnings += [warning] if warning else []

    def _monitoring(self) -> None:
        text = self._config.form.daemon.http
        if text:
            try:
                host, port = http_address(text)
            except ValueError as error:
                self.problems.append(Problem("daemon.http", f'"{text}" {error}', 'for example "127.0.0.1:9745"'))
            else:
                if wrong := not_here(host):
                    hint = "the service tries again until it is, and scans nothing meanwhile"
                    self.warnings.append(Problem("daemon.http", f'"{text}" {wrong}', hint))
                if not port:
                    hint = "name one, so that it can be asked for"
                    self.warnings.append(Problem("daemon.http", f'"{text}" is a different port at each start', hint))
        url = self._config.form.daemon.report_url
        if url and self._config.form.daemon.report_base is None:
            hint = 'for example "https://reports.example.com/nightseal/"'
            self.warnings.append(
                Problem("daemon.report_url", f'"{url}" is not the address of a web page: nothing links to it', hint)
            )


def _seconds(name: str, trigger: ScheduleTrigger) -> Iterator[Problem]:
    """Debian's cron has five fields: one star too many makes a schedule of each night one of each hour."""
    if len(trigger.cron.split()) != _FIELDS_WITH_SECONDS:
        return
    gap = trigger.shortest_gap(datetime.now(UTC))
    often = f": it starts every {spelled(gap)} at the shortest" if gap else ""
    key, hint = f"schedule[{name}].cron", "omit the first if minutes were meant"
    yield Problem(key, f'"{trigger.cron}" has six fields, and the first is seconds{often}', hint)


def _without_workers(config: Config) -> Iterator[Problem]:
    """A zone is scanned by its workers alone, and they are reached by a broker."""
    for item in config.form.environment:
        if item.zone is not None:
            message = f'nothing of it is scanned: "{item.zone}" is a zone of workers, which are reached by a broker'
            yield Problem(f"environment[{item.name}].zone", message, 'see engine = "celery" in [dispatch]')


def _passwords(config: Config) -> Iterator[Problem]:
    """Variables with passwords that are not there: files of a zone are opened on other machines, by their variables."""
    for item in config.form.environment:
        for files in item.certificate if item.zone is None else ():
            name = files.password_variable
            if name is not None and name not in os.environ:
                message = f"the environment variable {name} is not set: a file with a password cannot be read"
                yield Problem(f"environment[{item.name}].certificate.password_variable", message)


def _connect_to(config: Config) -> Iterator[Problem]:
    hosts = {endpoint.host for endpoint in config.inventory.endpoints}
    lost = [
        (name, host)
        for name in config.scan.connect_to
        if (host := name.rpartition(":")[0].removeprefix("[").removesuffix("]")) not in hosts
    ]
    for name, host in lost[:_MOST_NAMED]:
        yield Problem(f'scan.connect_to."{name}"', "is not the address of any endpoint", nearest(host, hosts))
    more = len(lost) - _MOST_NAMED
    if more > 0:
        yield Problem("scan.connect_to", f"{counted(more, 'more entry', 'more entries')} name no endpoint either")
