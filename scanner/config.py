"""Reads config.toml: checks its form and its sense, and gives the inventory and the settings as frozen values.

Every problem is reported at once, with the file, the dotted path of the key and the nearest key that exists.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import tomllib
import zoneinfo
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from scanner import confidential
from scanner.config_form import (
    ApplicationForm,
    ConfigForm,
    EndpointForm,
    EnvironmentForm,
    NotifyForm,
    ScanForm,
    ScheduleForm,
)
from scanner.errors import ConfigError, Problem, nearest
from scanner.hostname import HostError, normalised, normalised_pattern
from scanner.inventory import (
    Application,
    ApplicationKind,
    ClientCertificate,
    DomainKey,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    Inventory,
    PathSetting,
    Role,
    StartTls,
    is_address,
)
from scanner.validation import problems_of
from scanner.waiver import Waiver, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEFAULT_PATH = Path("config.toml")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. Paths in it are relative to `folder`, where the file lies.

    `text` is the file's, without a byte order mark and with the ends of lines that Unix has, so that an editor changes
    nothing; `digest` is its SHA-256. `warnings` are what is allowed but says less than holds.
    """

    source: str
    folder: Path
    text: str
    digest: str
    form: ConfigForm
    inventory: Inventory
    waivers: tuple[Waiver, ...]
    warnings: tuple[Problem, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it was read from."""
        return (Path(self.source),)

    @property
    def scan(self) -> ScanForm:
        """How targets are scanned."""
        return self.form.scan

    @property
    def schedules(self) -> tuple[ScheduleForm, ...]:
        """When scans run by themselves."""
        return tuple(self.form.schedule)

    @property
    def receivers(self) -> tuple[NotifyForm, ...]:
        """Who is told."""
        return tuple(self.form.notify)

    def resolve(self, path: str) -> str:
        """A path of the file, seen from the working folder; an object-store URL as it is."""
        return path if "://" in path else str(self.folder / path)


def load(path: Path, *, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check a configuration file.

    Args:
        path: the file.
        environ: where "${NAME}" is looked up; the process's environment by default.

    Raises:
        ConfigError: it cannot be read, is not TOML, or does not make sense; lists every problem.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        hint = "`nightseal config init` writes a commented one; --config names another"
        raise ConfigError(str(path), [Problem("", "there is no such file", hint)]) from error
    except OSError as error:
        raise ConfigError(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        problem = Problem("", "cannot be read: it is not UTF-8", "save it as UTF-8, as TOML demands")
        raise ConfigError(str(path), [problem]) from error
    return parse(text, source=str(path), folder=path.parent, environ=environ)


def parse(
    text: str, *, source: str, folder: Path, environ: Mapping[str, str] | None = None, today: date | None = None
) -> Config:
    """Check the text of a configuration, as of a day. Raises what `load` raises."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Problem("", f"not valid TOML: {error}")]) from error
    problems: list[Problem] = []
    raw = _expand(raw, os.environ if environ is None else environ, "", problems)
    if problems:
        raise ConfigError(source, problems)
    try:
        form = ConfigForm.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(source, problems_of(error, ConfigForm)) from error
    for address in (*(item.url for item in form.notify), *filter(None, [form.scan.proxy])):
        confidential.keep_parts(address)
    warnings: list[Problem] = []
    inventory = Inventory(tuple(_environment(item, folder, problems, warnings) for item in form.environment))
    _check_names(form, problems)
    _check_references(form, problems)
    _check_connect_to(form.scan, problems)
    _check_waivers(form, problems, today or datetime.now(UTC).date())
    if problems:
        raise ConfigError(source, problems)
    connect_to = {normalised_pattern(name): addresses for name, addresses in form.scan.connect_to.items()}
    form = form.model_copy(update={"scan": form.scan.model_copy(update={"connect_to": connect_to})})
    return Config(
        source=source,
        folder=folder,
        text=text,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        form=form,
        inventory=inventory,
        waivers=tuple(Waiver(w.rule, w.scope, w.reason, w.owner, w.expires, w.until_worse) for w in form.waiver),
        warnings=tuple(warnings),
    )


def _expand(value: Any, environ: Mapping[str, str], key: str, problems: list[Problem]) -> Any:
    """Replace "${NAME}" in every string by the environment variable of that name."""
    if isinstance(value, dict):
        return {
            name: _expand(item, environ, f"{key}.{name}" if key else name, problems) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_expand(item, environ, f"{key}[{index}]", problems) for index, item in enumerate(value, 1)]
    if not isinstance(value, str):
        return value
    for name in _VARIABLE.findall(value):
        if name not in environ:
            # Not by an assignment: a shell remembers what was typed.
            hint = f"in a shell: read -rs {name} && export {name}; for the service, in its environment file"
            problems.append(Problem(key, f"the environment variable {name} is not set", hint))
        else:
            confidential.keep_variable(name, environ[name])
    return _VARIABLE.sub(lambda match: environ.get(match[1], ""), value)


def _environment(form: EnvironmentForm, folder: Path, problems: list[Problem], warnings: list[Problem]) -> Environment:
    key = f"environment[{form.name}]"
    _check_domains(form, key, problems)
    endpoints: dict[tuple[str, int], Endpoint] = {}
    for item in form.endpoint:
        endpoint = _endpoint(item, form.name, f"{key}.endpoint[{item.host}:{item.port}]", problems)
        if (endpoint.host, endpoint.port) in endpoints:
            problems.append(Problem(f"{key}.endpoint", f"{endpoint.address} is listed twice"))
        endpoints[endpoint.host, endpoint.port] = endpoint
    for app in form.application:
        app_key = f"{key}.application[{app.name}]"
        _check_levels(app, form, app_key, problems, warnings)
        host = _host(app.host, f"{app_key}.host", problems)
        known = endpoints.get((host, app.port))
        http_port = app.http_port or None
        if known and known.applications and known.http_port != http_port:
            problems.append(
                Problem(f"{app_key}.http_port", f"another application at {known.address} says {known.http_port}")
            )
        endpoints[host, app.port] = Endpoint(
            environment=form.name,
            host=host,
            port=app.port,
            role=known.role if known else Role.APPLICATION,
            http_port=http_port,
            starttls=known.starttls if known else None,
            xmpp_domain=known.xmpp_domain if known else None,
            applications=(*(known.applications if known else ()), _application(app, folder)),
        )
    for implied in _implied(form, tuple(endpoints.values())):
        endpoints.setdefault((implied.host, implied.port), implied)
    return Environment(
        name=form.name,
        kind=form.kind,
        endpoints=tuple(endpoints.values()),
        default_domain=_domain(form.default_domain),
        custom_domain=_domain(form.custom_domain),
        policy=form.policy,
        hsts=form.hsts,
        force_https_screens=form.force_https_screens,
        force_https_integrations=form.force_https_integrations,
        trust_store=form.trust_store,
    )


def _endpoint(form: EndpointForm, environment: str, key: str, problems: list[Problem]) -> Endpoint:
    web = form.role.speaks_http
    if web and form.starttls:
        problems.append(Problem(f"{key}.starttls", "goes with role server only", 'set role = "server"'))
    if form.xmpp_domain is not None and form.starttls not in {StartTls.XMPP, StartTls.XMPP_SERVER}:
        problems.append(Problem(f"{key}.xmpp_domain", "goes with XMPP only", 'set starttls = "xmpp" or "xmpp-server"'))
    default_http_port = 80 if web and form.port == 443 else 0  # noqa: PLR2004  # the registered ports of HTTP and HTTPS
    http_port = default_http_port if form.http_port is None else form.http_port
    host = _host(form.host, f"{key}.host", problems)
    domain = _host(form.xmpp_domain, f"{key}.xmpp_domain", problems) if form.xmpp_domain else None
    return Endpoint(environment, host, form.port, form.role, http_port or None, form.starttls, xmpp_domain=domain)


def _application(form: ApplicationForm, folder: Path) -> Application:
    certificate = form.client_certificate
    return Application(
        name=form.name,
        kind=form.kind,
        https=form.https,
        paths=tuple(PathSetting(item.path, item.https) for item in form.paths),
        integrations=tuple(
            Integration(item.path, item.kind, item.https, tuple(item.methods)) for item in form.integrations
        ),
        client_certificate=ClientCertificate(folder / certificate.cert, folder / certificate.key)
        if certificate
        else None,
        force_https_screens=form.force_https_screens,
        force_https_integrations=form.force_https_integrations,
    )


def _host(value: str, key: str, problems: list[Problem]) -> str:
    """The one spelling of a host; what is none is a problem, and stays as it is."""
    try:
        return normalised(value)
    except HostError as error:
        problems.append(Problem(key, str(error), error.hint))
        return value


def _check_domains(form: EnvironmentForm, key: str, problems: list[Problem]) -> None:
    if form.kind is EnvironmentKind.ON_PREMISES:
        problems.extend(
            Problem(f"{key}.{name}", 'is for kind "paas" only', "an on-premises host brings its own")
            for name, value in (("default_domain", form.default_domain), ("custom_domain", form.custom_domain))
            if value is not None
        )
        return
    for name, value in (("default_domain", form.default_domain), ("custom_domain", form.custom_domain)):
        if value is None:
            continue
        if value.startswith("*."):
            hint = f"write the domain itself: {value[2:]!r}; a wildcard certificate covers the hosts under it"
            problems.append(Problem(f"{key}.{name}", f"is not a host name: {value!r}", hint))
        elif is_address(_host(value, f"{key}.{name}", problems)):
            hint = "a host without a name is an [[environment.endpoint]]"
            problems.append(Problem(f"{key}.{name}", f"should be a host name, not the address {value!r}", hint))


def _domain(value: str | None) -> str | None:
    """A domain as hosts are written; what is wrong with it is said elsewhere."""
    return _host(value, "", []) if value is not None else None


def _implied(form: EnvironmentForm, endpoints: tuple[Endpoint, ...]) -> Iterator[Endpoint]:
    """The platform's host names as endpoints, where no configured web host is the domain or lies under it.

    A domain with hosts under it is what they have in common, and need not be a host itself.
    """
    if form.kind is not EnvironmentKind.PAAS:
        return
    hosts = [endpoint.host for endpoint in endpoints if endpoint.role.speaks_http]
    for key, value in ((DomainKey.CUSTOM, form.custom_domain), (DomainKey.DEFAULT, form.default_domain)):
        domain = _domain(value)
        if domain and not any(host == domain or host.endswith(f".{domain}") for host in hosts):
            item = EndpointForm(host=domain)
            yield replace(_endpoint(item, form.name, "", []), implied_by=key)


def _check_levels(
    app: ApplicationForm, environment: EnvironmentForm, key: str, problems: list[Problem], warnings: list[Problem]
) -> None:
    """The levels that cannot be, and those that say less than holds anyway."""
    levels: list[tuple[str, HttpsLevel, IntegrationKind | None]] = [("https", app.https, None)]
    levels += [(f"paths[{p.path}].https", p.https, None) for p in app.paths]
    levels += [(f"integrations[{i.path}].https", i.https, i.kind) for i in app.integrations]
    for name, level, integration in levels:
        if level is HttpsLevel.TLS_CLIENT_CERTIFICATE and environment.kind is EnvironmentKind.PAAS:
            why = "client certificates are not available on a provider's platform"
            problems.append(Problem(f"{key}.{name}", f'"{level}" cannot be had on "paas"', why))
        if level is HttpsLevel.TLS_CLIENT_CERTIFICATE and integration is IntegrationKind.REST:
            why = "a REST integration can't ask for a client certificate"
            problems.append(Problem(f"{key}.{name}", f'"{level}" cannot be had for kind "rest"', why))
        if level is HttpsLevel.NONE and ApplicationKind(app.kind).always_https:
            why = f"a {app.kind} back end is always over HTTPS"
            warnings.append(Problem(f"{key}.{name}", '"none" has no effect', why))
        elif level is HttpsLevel.NONE and integration is None and (environment.hsts or environment.force_https_screens):
            why = "the environment's hsts or force_https_screens wins"
            warnings.append(Problem(f"{key}.{name}", '"none" has no effect', why))
        elif level is HttpsLevel.NONE and integration is not None and environment.force_https_integrations:
            why = "the environment's force_https_integrations wins"
            warnings.append(Problem(f"{key}.{name}", '"none" has no effect', why))


def _check_names(form: ConfigForm, problems: list[Problem]) -> None:
    names: list[tuple[str, Iterable[str]]] = [
        ("environment", (item.name for item in form.environment)),
        ("schedule", (item.name for item in form.schedule)),
        ("notify", (item.name for item in form.notify)),
    ]
    names += [(f"environment[{e.name}].application", (a.name for a in e.application)) for e in form.environment]
    for key, values in names:
        problems.extend(
            Problem(key, f'the name "{name}" is given {times} times; it must be unique')
            for name, times in Counter(values).items()
            if times > 1
        )


def _check_references(form: ConfigForm, problems: list[Problem]) -> None:
    environments = [item.name for item in form.environment]
    receivers = [item.name for item in form.notify]
    for schedule in form.schedule:
        key = f"schedule[{schedule.name}]"
        problems.extend(
            Problem(f"{key}.environments", f'there is no environment "{name}"', nearest(name, environments))
            for name in schedule.environments
            if not any(character in name for character in "*?[") and name not in environments
        )
        problems.extend(
            Problem(f"{key}.notify", f'there is no [[notify]] "{name}"', nearest(name, receivers))
            for name in schedule.notify
            if name not in receivers
        )
        if schedule.timezone not in zoneinfo.available_timezones():
            hint = nearest(schedule.timezone, zoneinfo.available_timezones())
            problems.append(Problem(f"{key}.timezone", f'there is no time zone "{schedule.timezone}"', hint))


def _check_waivers(form: ConfigForm, problems: list[Problem], today: date) -> None:
    """No failure is accepted for ever: whoever accepts it has to look again after a year."""
    most = form.nightseal.waiver_days
    for index, waiver in enumerate(form.waiver, 1):
        days = (waiver.expires - today).days
        if days > most:
            last = today + timedelta(days=most)
            hint = f"{last} is the last day that can be had; [nightseal] waiver_days allows more"
            problems.append(Problem(f"waiver[{index}].expires", f"is {days} days away, and {most} are allowed", hint))
        try:
            scope_of(waiver.scope)
        except HostError as error:
            problems.append(Problem(f"waiver[{index}].scope", f'"{waiver.scope}" {error}', error.hint))


def _check_connect_to(scan: ScanForm, problems: list[Problem]) -> None:
    for source, targets in scan.connect_to.items():
        host, _, port = source.rpartition(":")
        if not host or not port.isdecimal():
            problems.append(Problem(f'scan.connect_to."{source}"', 'should be "host:port"'))
        else:
            _host(host, f'scan.connect_to."{source}"', problems)
        for target in targets:
            address, _, port = target.rpartition(":")
            try:
                ipaddress.ip_address(address.strip("[]"))
                valid = port.isdecimal() and 0 < int(port) <= 65535  # noqa: PLR2004  # the range of ports
            except ValueError:
                valid = False
            if not valid:
                problems.append(Problem(f'scan.connect_to."{source}"', f'should hold "ip:port", not {target!r}'))
