"""Says of a configuration what the night would say of it: everything that it names is opened before anything starts.

`config check`, `run`, the start of the service and its reload ask here: none of them takes what another refuses. What
cannot work is an error, and all errors are told at once. What can be mended while the service runs (a folder that may
not be written to, a client certificate that has expired) is a warning, so that it keeps no other host from being
scanned.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
from cryptography import x509

from reports.deliver import problem_of
from scanner.config import Config
from scanner.errors import ConfigError, LogListError, PolicyMissingError, Problem, TrustStoreError, UsageError, nearest
from scanner.inventory import ClientCertificate
from scanner.jobs.client_identity import misfit
from scanner.jobs.looks import check_looks
from scanner.jobs.policies import load_policy
from scanner.jobs.proxies import carrying_all
from scanner.probe.x509.trust import MOZILLA, SYSTEM, load_store
from scanner.service.address import http_address
from scanner.service.cron import ScheduleTrigger, trigger_of
from scanner.service.orders import socket_of, state_of
from scanner.service.preflight_places import history_problem, place, socket_problem, socket_warning, state_problem

_BEGIN: Final = "`nightseal config init` writes an example"
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = b"PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class Checked:
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
        self.problems += _receivers(self._config)
        try:
            check_looks(self._config)
        except ConfigError as error:
            self.problems += error.problems
        self._trust_stores()
        self._scan()
        self._client_certificates()
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
                load_policy(name, base=self._config.folder)
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
                self.triggers[schedule.name] = trigger_of(schedule, self._config.source)
            except ConfigError as error:
                self.problems += error.problems
            # A name without a match is refused where the form is read; a run would find a glob's out at night.
            self.problems += (
                Problem(f"schedule[{schedule.name}].environments", f'no environment is called like "{name}"',
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

    def _trust_stores(self) -> None:
        named = [("scan.trust_store", self._config.scan.trust_store)]
        named += [
            (f"environment[{item.name}].trust_store", item.trust_store)
            for item in self._config.form.environment
            if item.trust_store
        ]
        for key, name in named:
            path = name if name in {MOZILLA, SYSTEM} else str((self._config.folder / name).absolute())
            kinds = _kinds_of(Path(path)) if path != name else frozenset()
            if kinds == {_KEY}:
                hint = "name the certificates of your CAs, and keep keys out of the scanner's reach"
                self.problems.append(Problem(key, f"{path} is a private key, not a trust store", hint))
                continue
            if _KEY in kinds:
                self.warnings.append(Problem(key, f"{path} holds a private key beside certificates", "take it out"))
            try:
                load_store(path)
            except TrustStoreError as error:
                self.problems.append(Problem(key, str(error)))

    def _scan(self) -> None:
        scan = self._config.scan
        if scan.ct_logs:
            from scanner.probe.x509.ct_logs import load_logs  # noqa: PLC0415  # loads only where a list is named

            try:
                load_logs(str((self._config.folder / scan.ct_logs).absolute()))
            except LogListError as error:
                self.problems.append(Problem("scan.ct_logs", str(error)))
        try:
            carrying_all(scan.proxy)
        except UsageError as error:
            self.problems.append(Problem("scan.proxy", str(error)))

    def _client_certificates(self) -> None:
        now = datetime.now(UTC)
        for environment in self._config.inventory.environments:
            for endpoint in environment.endpoints:
                for application in endpoint.applications:
                    identity = application.client_certificate
                    if identity is None:
                        continue
                    key = f"environment[{environment.name}].application[{application.name}].client_certificate"
                    unfit = _unfit(key, identity)
                    if unfit is not None:
                        self.problems.append(unfit)
                    else:
                        self.warnings += _out_of_date(key, identity.cert, now)

    def _places(self) -> None:
        form = self._config.form
        history, output = (self._config.resolve(name) for name in (form.nightseal.history, form.nightseal.output))
        if "://" not in history:
            self._take(place("nightseal.history", Path(history).absolute()))
        self.problems += history_problem(history)
        if "://" in output:
            hint = "reports are files: name a folder, and copy it from there"
            self.problems.append(Problem("nightseal.output", f"{output} is not a directory", hint))
        else:
            self._take(place("nightseal.output", Path(output).absolute()))
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
                host, _ = http_address(text)
            except ValueError as error:
                self.problems.append(Problem("daemon.http", f'"{text}" {error}', 'for example "127.0.0.1:9745"'))
            else:
                self.warnings += _not_ours(text, host)
        url = self._config.form.daemon.report_url
        if url and not (url.startswith(("http://", "https://")) and urlsplit(url).netloc):
            hint = 'for example "https://reports.example.com/nightseal/"'
            self.warnings.append(Problem("daemon.report_url", f'"{url}" is not the address of a web page', hint))


def _receivers(config: Config) -> Iterator[Problem]:
    for receiver in config.receivers:
        if wrong := problem_of(receiver.url):
            hint = "see the list of services in Apprise's documentation"
            yield Problem(f"notify[{receiver.name}].url", wrong, hint)


def _kinds_of(path: Path) -> frozenset[bytes]:
    """Which of certificates and private keys a PEM file holds; nothing where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return frozenset()
    return frozenset(kind for kind in (_CERTIFICATE, _KEY) if kind in data)


def _unfit(key: str, identity: ClientCertificate) -> Problem | None:
    """Why a client certificate and its key cannot be used together; None where they can."""
    unread = _unread(f"{key}.cert", identity.cert, _CERTIFICATE, "certificate")
    unread = unread or _unread(f"{key}.key", identity.key, _KEY, "private key")
    if unread is not None:
        return unread
    if wrong := misfit(identity):
        return Problem(f"{key}.key", wrong, "name the key that the certificate was issued for")
    try:
        # With a passphrase that is none: OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(identity.cert, identity.key, password=lambda: b"")
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        return Problem(key, f"{identity.cert} and {identity.key} cannot be used: OpenSSL says {reason}")
    return None


def _unread(key: str, path: Path, kind: bytes, words: str) -> Problem | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        return Problem(key, f"{path} cannot be read: {error.strerror}")
    if kind not in data:
        return Problem(key, f"{path} holds no {words} as PEM")
    if kind == _KEY and b"ENCRYPTED" in data:
        hint = "a scheduled scan cannot ask for a passphrase: openssl pkey -in FILE -out FILE.plain"
        return Problem(key, f"{path} is encrypted", hint)
    return None


def _out_of_date(key: str, path: Path, now: datetime) -> Iterator[Problem]:
    try:
        leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        return
    if now > leaf.not_valid_after_utc:
        yield Problem(f"{key}.cert", f"{path} expired on {leaf.not_valid_after_utc:%Y-%m-%d}", "renew it")
    elif now < leaf.not_valid_before_utc:
        yield Problem(f"{key}.cert", f"{path} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}")


def _not_ours(text: str, host: str) -> Iterator[Problem]:
    """Whether an IP address to listen at is one of another machine."""
    try:
        wanted = ipaddress.ip_address(host)
    except ValueError:
        return
    ours = {address.address.partition("%")[0] for items in psutil.net_if_addrs().values() for address in items}
    if not wanted.is_loopback and not wanted.is_unspecified and wanted.compressed not in ours:
        yield Problem("daemon.http", f'"{text}" is not an address of this machine')


def _connect_to(config: Config) -> Iterator[Problem]:
    hosts = {endpoint.host for endpoint in config.inventory.endpoints}
    for name in config.scan.connect_to:
        host = name.rpartition(":")[0].removeprefix("[").removesuffix("]")
        if host not in hosts:
            yield Problem(f'scan.connect_to."{name}"', "is not the address of any endpoint", nearest(host, hosts))
