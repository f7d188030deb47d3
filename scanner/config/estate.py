"""From the form of an environment to what is scanned there: endpoints, consoles and applications, each host once."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import Struct

from scanner.config.form_estate import ApplicationForm, CertificateFilesForm, EndpointForm, EnvironmentForm, OwnedForm
from scanner.errors import Problem
from scanner.hostname import HostError, normalised
from scanner.inventory import (
    CLIENT_FILE,
    FILE,
    Application,
    ApplicationKind,
    CertificateFile,
    ClientCertificate,
    Console,
    DomainKey,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    Integration,
    IntegrationKind,
    PathSetting,
    Role,
    StartTls,
    file_host,
    is_address,
)
from scanner.ownership import Ownership
from scanner.pem_labels import holds_no_certificate
from scanner.requirements import conflicts

ROOT_PATH: Final = "/"
MOST_FILES: Final = 1000
"""Files that one pattern names."""


class ConfigPart(Struct, frozen=True):
    """A part of the configuration: the key that problems call it by, and the way to it, which no other part shares."""

    key: str
    location: tuple[str | int, ...]

    def element(self, name: str, position: int, label: str) -> ConfigPart:
        """An element of one of its lists."""
        return ConfigPart(f"{self.key}.{name}[{label}]", (*self.location, name, position))

    def problem(self, name: str, message: str, hint: str | None = None) -> Problem:
        """Something wrong with the part, or with what it has of that name, which may be a dotted key."""
        way = (*self.location, name) if name else self.location
        return Problem(f"{self.key}.{name}" if name else self.key, message, hint, location=way)


def environment_of(
    form: EnvironmentForm, position: int, folder: Path, problems: list[Problem], warnings: list[Problem]
) -> Environment:
    """The environment that a form means; what is wrong with it is added to `problems` and `warnings`."""
    part = ConfigPart(f"environment[{form.name}]", ("environment", position))
    _check_domains(form, part, problems)
    endpoints = _Endpoints(form.name, part, problems)
    for index, item in enumerate(form.endpoint):
        endpoints.add(item, part.element("endpoint", index, f"{item.host}:{item.port}"))
    for index, app in enumerate(form.application):
        place = part.element("application", index, app.name)
        _check_levels(app, form, place, problems, warnings)
        endpoints.add_application(app, folder, place)
    for index, files in enumerate(form.certificate):
        place = ConfigPart(f"{part.key}.certificate", (*part.location, "certificate", index))
        if form.zone is None:
            endpoints.add_files(files, folder, place, warnings)
        else:
            endpoints.add_files_of_zone(files, place)
    for implied in _implied(form, endpoints.all):
        endpoints.add_implied(implied)
    result = Environment(
        name=form.name,
        kind=form.kind,
        endpoints=endpoints.all,
        default_domain=_domain(form.default_domain),
        custom_domain=_domain(form.custom_domain),
        policy=form.policy,
        hsts=form.hsts,
        force_https_screens=form.force_https_screens,
        force_https_integrations=form.force_https_integrations,
        trust_store=form.trust_store,
        zone=form.zone,
        ownership=ownership_of(form),
    )
    warnings += _conflicts(result, form, part)
    return result


def _conflicts(environment: Environment, form: EnvironmentForm, part: ConfigPart) -> Iterator[Problem]:
    """What is set for a path of which something else at the same host demands more."""
    positions = {item.name: index for index, item in enumerate(form.application)}
    for endpoint in (item for item in environment.endpoints if item.applications):
        for weaker, holds in conflicts(environment, endpoint):
            name = weaker.application
            place = part.element("application", positions[name], name) if name is not None else part
            key = "" if name is None else "https"
            if weaker.integration is not None:
                key = f"integrations[{weaker.path}].https"
            elif name is not None and any(item.path == weaker.path for item in form.application[positions[name]].paths):
                key = f"paths[{weaker.path}].https"
            message = f'"{weaker.level}" has no effect at {endpoint.address}{weaker.path}'
            hint = f'{holds.setting} requires "{holds.level}" for the same path, and the stricter level applies'
            yield place.problem(key, message, hint)


def _endpoint(form: EndpointForm, environment: str, part: ConfigPart, problems: list[Problem]) -> Endpoint:
    web = form.role.speaks_http
    if web and form.starttls:
        problems.append(part.problem("starttls", "is only for servers", 'set role = "server"'))
    if form.paths and not form.role.is_console:
        hint = 'set role = "monitoring" or "development"; the paths of an application are its own'
        problems.append(part.problem("paths", "are only for consoles", hint))
    if form.xmpp_domain is not None and form.starttls not in {StartTls.XMPP, StartTls.XMPP_SERVER}:
        problems.append(part.problem("xmpp_domain", "is only for XMPP", 'set starttls = "xmpp" or "xmpp-server"'))
    default_http_port = 80 if web and form.port == 443 else 0  # noqa: PLR2004  # the registered ports of HTTP and HTTPS
    http_port = default_http_port if form.http_port is None else form.http_port
    host = _host(form.host, "host", part, problems)
    domain = _host(form.xmpp_domain, "xmpp_domain", part, problems) if form.xmpp_domain else None
    return Endpoint(
        environment,
        host,
        form.port,
        form.role,
        http_port or None,
        form.starttls,
        consoles=(Console(form.role, tuple(dict.fromkeys(form.paths)) or (ROOT_PATH,)),)
        if form.role.is_console
        else (),
        xmpp_domain=domain,
        ownership=ownership_of(form),
    )


def _application(form: ApplicationForm, folder: Path) -> Application:
    certificate = form.client_certificate
    return Application(
        name=form.name,
        kind=form.kind,
        https=form.https,
        # What is said twice in the same words is judged once.
        paths=tuple(dict.fromkeys(PathSetting(item.path, item.https) for item in form.paths)),
        integrations=tuple(
            dict.fromkeys(
                Integration(item.path, item.kind, item.https, tuple(item.methods)) for item in form.integrations
            )
        ),
        client_certificate=ClientCertificate(folder / certificate.cert, folder / certificate.key)
        if certificate
        else None,
        force_https_screens=form.force_https_screens,
        force_https_integrations=form.force_https_integrations,
        ownership=ownership_of(form),
    )


def ownership_of(form: OwnedForm) -> Ownership:
    """Whose it is, as its form says; what it inherits stands there already."""
    return Ownership(form.owner, form.contact, tuple(sorted(form.labels.items())))


class _Endpoints:
    """The endpoints of an environment. What is at one host and port is scanned once, and judged for each role there."""

    def __init__(self, environment: str, part: ConfigPart, problems: list[Problem]) -> None:
        self._environment = environment
        self._part = part
        self._problems = problems
        self._found: dict[tuple[str, int], Endpoint] = {}
        self._roles: dict[tuple[str, int], set[Role]] = {}
        self._plain: dict[tuple[str, int], tuple[int | None, ConfigPart]] = {}

    @property
    def all(self) -> tuple[Endpoint, ...]:
        """All of them, in the configuration's order."""
        return tuple(self._found.values())

    def add(self, form: EndpointForm, part: ConfigPart) -> None:
        """Add what an [[environment.endpoint]] says."""
        new = _endpoint(form, self._environment, part, self._problems)
        place = (new.host, new.port)
        known = self._found.get(place)
        roles = self._roles.setdefault(place, set())
        if form.role in roles:
            hint = "list all its paths in one" if form.role.is_console else "leave one out"
            message = f"{new.address} is listed twice with the role {form.role}"
            self._problems.append(part.problem("", message, hint))
        elif known is not None and Role.SERVER in {*roles, form.role}:
            hint = "a port speaks HTTP or another protocol"
            self._problems.append(part.problem("", f"{new.address} is a server and something else", hint))
        roles.add(form.role)
        if known is None:
            self._found[place] = new
        else:
            self._found[place] = replace(
                known,
                role=Role.APPLICATION if Role.APPLICATION in {known.role, new.role} else known.role,
                consoles=known.consoles + new.consoles,
                ownership=known.ownership.merged(new.ownership),
            )
        if form.http_port is not None:
            self._plain_port(place, form.http_port or None, part, new.address)

    def add_application(self, form: ApplicationForm, folder: Path, part: ConfigPart) -> None:
        """Add an [[environment.application]], beside what else is at its host and port."""
        host = _host(form.host, "host", part, self._problems)
        place = (host, form.port)
        known = self._found.get(place, Endpoint(self._environment, host, form.port, http_port=form.http_port or None))
        if Role.SERVER in self._roles.get(place, ()):
            hint = "a port speaks HTTP or another protocol"
            self._problems.append(part.problem("", f"{known.address} is a server as well", hint))
        self._found[place] = replace(
            known,
            role=Role.APPLICATION,
            applications=(*known.applications, _application(form, folder)),
            ownership=known.ownership.merged(ownership_of(form)),
        )
        self._plain_port(place, form.http_port or None, part, known.address)
        if form.client_certificate is not None:
            path = folder / form.client_certificate.cert
            self._add_file(CLIENT_FILE, path, folder, CertificateFile(path), ownership_of(form))

    def add_files(self, form: CertificateFilesForm, folder: Path, part: ConfigPart, warnings: list[Problem]) -> None:
        """Add the files of an [[environment.certificate]], each as an endpoint of its own."""
        for pattern in form.files:
            paths = sorted(glob.glob(str(folder / pattern), recursive=True))  # noqa: PTH207  # the pattern may be absolute
            files = [Path(path) for path in paths if Path(path).is_file()]
            if not files:
                warnings.append(part.problem("files", f'"{pattern}" is not a file and matches none'))
            if files != [folder / pattern]:
                # Beside certificates lie their keys and requests, which a pattern means as well.
                files = [path for path in files if not holds_no_certificate(path)]
            if len(files) > MOST_FILES:
                text = f'"{pattern}" matches {len(files)} files, and only {MOST_FILES} of them are judged'
                warnings.append(part.problem("files", text))
            for path in files[:MOST_FILES]:
                self._add_file(FILE, path, folder, CertificateFile(path, form.password_variable), ownership_of(form))

    def add_files_of_zone(self, form: CertificateFilesForm, part: ConfigPart) -> None:
        """Add those that are on the workers' machines: only there it is known what a pattern means, so it is one."""
        for pattern in form.files:
            path = Path(pattern)
            if not path.is_absolute():
                hint = "the files of a zone are on the machines of its workers"
                self._problems.append(part.problem("files", f'"{pattern}" should begin with "/"', hint))
            self._add_file(FILE, path, Path(), CertificateFile(path, form.password_variable), ownership_of(form))

    def _add_file(self, kind: str, path: Path, folder: Path, file: CertificateFile, ownership: Ownership) -> None:
        name = path.relative_to(folder) if path.is_relative_to(folder) else path
        endpoint = Endpoint(
            self._environment, file_host(f"{kind}{name}"), 0, Role.SERVER, file=file, ownership=ownership
        )
        self._found.setdefault((endpoint.host, 0), endpoint)

    def add_implied(self, endpoint: Endpoint) -> None:
        """Add one that the environment's domain names, where nothing else is there."""
        self._found.setdefault((endpoint.host, endpoint.port), endpoint)

    def _plain_port(self, place: tuple[str, int], port: int | None, part: ConfigPart, address: str) -> None:
        """All that is at one host and port is asked for at one port of plain HTTP."""
        said, by = self._plain.setdefault(place, (port, part))
        if said != port:
            known = f"{by.key.removeprefix(f'{self._part.key}.')}.http_port"
            self._problems.append(
                part.problem("http_port", f"is {port or 0}, and {known} at {address} says {said or 0}")
            )
        self._found[place] = replace(self._found[place], http_port=said)


def host_of(value: str, key: str, problems: list[Problem]) -> str:
    """The one spelling of a host; what is none is a problem, and stays as it is."""
    try:
        return normalised(value)
    except HostError as error:
        problems.append(Problem(key, str(error), error.hint))
        return value


def _host(value: str, name: str, part: ConfigPart, problems: list[Problem]) -> str:
    """The same of a part of the configuration."""
    wrong: list[Problem] = []
    host = host_of(value, name, wrong)
    problems.extend(part.problem(name, found.message, found.hint) for found in wrong)
    return host


def _check_domains(form: EnvironmentForm, part: ConfigPart, problems: list[Problem]) -> None:
    if form.kind is EnvironmentKind.ON_PREMISES:
        problems.extend(
            part.problem(name, 'is for kind "paas" only', "an on-premises host has its own domain")
            for name, value in (("default_domain", form.default_domain), ("custom_domain", form.custom_domain))
            if value is not None
        )
        return
    for name, value in (("default_domain", form.default_domain), ("custom_domain", form.custom_domain)):
        if value is None:
            continue
        if value.startswith("*."):
            hint = f"write the domain itself: {value[2:]!r}; a wildcard certificate covers the hosts under it"
            problems.append(part.problem(name, f"is not a host name: {value!r}", hint))
        elif is_address(_host(value, name, part, problems)):
            hint = "a host without a name is an [[environment.endpoint]]"
            problems.append(part.problem(name, f"should be a host name, not the address {value!r}", hint))


def _domain(value: str | None) -> str | None:
    """A domain as hosts are written; what is wrong with it is said elsewhere."""
    return host_of(value, "", []) if value is not None else None


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
            usual = form.defaults
            item = EndpointForm(host=domain, owner=usual.owner, contact=usual.contact, labels=usual.labels)
            yield replace(_endpoint(item, form.name, ConfigPart("", ()), []), implied_by=key)


def _check_levels(
    app: ApplicationForm,
    environment: EnvironmentForm,
    part: ConfigPart,
    problems: list[Problem],
    warnings: list[Problem],
) -> None:
    """The levels that cannot be, and those that say less than holds anyway."""
    levels: list[tuple[str, HttpsLevel, IntegrationKind | None]] = [("https", app.https, None)]
    levels += [(f"paths[{p.path}].https", p.https, None) for p in app.paths]
    levels += [(f"integrations[{i.path}].https", i.https, i.kind) for i in app.integrations]
    for name, level, integration in levels:
        if level is HttpsLevel.TLS_CLIENT_CERTIFICATE and environment.kind is EnvironmentKind.PAAS:
            why = "client certificates are not available on a provider's platform"
            problems.append(part.problem(name, f'"{level}" is not available on "paas"', why))
        if level is HttpsLevel.TLS_CLIENT_CERTIFICATE and integration is IntegrationKind.REST:
            why = "a REST integration cannot require a client certificate"
            problems.append(part.problem(name, f'"{level}" is not available for kind "rest"', why))
        if level is HttpsLevel.NONE and ApplicationKind(app.kind).always_https:
            why = f"a {app.kind} back end is always over HTTPS"
            warnings.append(part.problem(name, '"none" has no effect', why))
        elif level is HttpsLevel.NONE and integration is None and (environment.hsts or environment.force_https_screens):
            why = "the environment's hsts or force_https_screens wins"
            warnings.append(part.problem(name, '"none" has no effect', why))
        elif level is HttpsLevel.NONE and integration is not None and environment.force_https_integrations:
            why = "the environment's force_https_integrations wins"
            warnings.append(part.problem(name, '"none" has no effect', why))
