"""What the owners demand of plain HTTP at each place, and the line of the configuration that decided it.

Settings are made at three levels: of the environment, of the application, of a single path or integration. An outer
level can demand more than an inner one, never less; and some things are over HTTPS whatever is set (mobile, PWA and
reactive back ends, the consoles). `config explain`, the rules and the report all ask here, so that they agree.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from scanner.inventory import DomainKey, HttpsLevel, IntegrationKind, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scanner.inventory import Application, Endpoint, Environment, Integration, PathSetting

_STRENGTH = {HttpsLevel.NONE: 0, HttpsLevel.TLS: 1, HttpsLevel.TLS_CLIENT_CERTIFICATE: 2}
ROOT = "/"


class PlainAllowed(StrEnum):
    """What plain HTTP may answer."""

    ANYTHING = "anything"
    REDIRECT_OR_REFUSAL = "redirect-or-refusal"
    REFUSAL = "refusal"


class Requirement(Struct, frozen=True):
    """The effective requirement at one place.

    `application` is None for an endpoint that no application stands for; `integration` is the kind of an integration,
    None for pages. `hsts` tells whether the owners demand the HSTS header there. `decided_by` is the line of
    config.toml (or the fact) that decided, `setting` says the same in words, for people who do not have the file;
    `overridden` are the lines that say less and have no effect. `role` is that of a console, where one is there.
    """

    path: str
    level: HttpsLevel
    decided_by: str
    setting: str
    application: str | None = None
    integration: IntegrationKind | None = None
    hsts: bool = False
    overridden: tuple[str, ...] = ()
    role: Role | None = None

    @property
    def plain(self) -> PlainAllowed:
        """What plain HTTP may answer: a page may redirect; a request to an integration has said too much by then."""
        if self.level is HttpsLevel.NONE:
            return PlainAllowed.ANYTHING
        return PlainAllowed.REFUSAL if self.integration else PlainAllowed.REDIRECT_OR_REFUSAL


class _Line(Struct, frozen=True):
    """A setting with what it demands. The strongest decides; of equals the first, which is the outermost."""

    level: HttpsLevel
    text: str
    words: str


_ROLES = {
    Role.APPLICATION: "application",
    Role.DEVELOPMENT: "development endpoint",
    Role.MONITORING: "monitoring console",
    Role.SERVER: "server",
}
_ENVIRONMENT_WORDS = {
    "hsts": "HSTS for every page",
    "force_https_screens": "HTTPS for all screens",
    "force_https_integrations": "HTTPS for all integrations",
}
_DOMAIN_WORDS = {DomainKey.DEFAULT: "its default domain", DomainKey.CUSTOM: "its own domain"}


def requirements_of(environment: Environment, endpoint: Endpoint) -> tuple[Requirement, ...]:
    """Every requirement at an endpoint: first of its root, then of each path and integration, as configured.

    Several applications at one endpoint each have a root of their own. Of what several demand of one path, the
    strictest holds for all of them.
    """
    found = _each_as_said(environment, endpoint)
    return tuple(_as_strict(item, _strictest(found, item.path)) for item in found)


def conflicts(environment: Environment, endpoint: Endpoint) -> tuple[tuple[Requirement, Requirement], ...]:
    """Each requirement at an endpoint that is weaker than another of the same path, with the one that holds."""
    found = _each_as_said(environment, endpoint)
    pairs = ((item, _strictest(found, item.path)) for item in found)
    return tuple((item, holds) for item, holds in pairs if _STRENGTH[item.level] < _STRENGTH[holds.level])


def _each_as_said(environment: Environment, endpoint: Endpoint) -> tuple[Requirement, ...]:
    """What each application and console demands for itself."""
    if not endpoint.role.speaks_http:
        return ()
    of_applications = tuple(
        requirement
        for application in endpoint.applications
        for requirement in _application(environment, endpoint, application)
    )
    consoles = tuple(_console(environment, endpoint, role, path) for role, path in endpoint.console_places)
    found = (*of_applications, *(item for item in consoles if item.path != ROOT or of_applications))
    return found if of_applications else (_endpoint_root(environment, endpoint), *found)


def _strictest(requirements: tuple[Requirement, ...], path: str) -> Requirement:
    return max((item for item in requirements if item.path == path), key=lambda item: _STRENGTH[item.level])


def _as_strict(requirement: Requirement, holds: Requirement) -> Requirement:
    """A requirement of a path of which another demands more: nobody can answer one request in two ways."""
    if _STRENGTH[requirement.level] == _STRENGTH[holds.level]:
        return requirement
    return structs.replace(
        requirement,
        level=holds.level,
        decided_by=holds.decided_by,
        setting=holds.setting,
        overridden=(*requirement.overridden, requirement.decided_by),
    )


def root_of(environment: Environment, endpoint: Endpoint) -> Requirement | None:
    """The strictest requirement of the endpoint's root; None where HTTP is not spoken."""
    roots = [item for item in _each_as_said(environment, endpoint) if item.path == ROOT and item.integration is None]
    return max(roots, key=lambda item: _STRENGTH[item.level], default=None)


def requirement_at(environment: Environment, endpoint: Endpoint, path: str) -> Requirement | None:
    """The requirement of any path: that of the configured place which contains it most narrowly, else of the root."""
    path = path.partition("?")[0].partition("#")[0] or ROOT
    candidates = [item for item in requirements_of(environment, endpoint) if contains(item.path, path)]
    if not candidates:
        return root_of(environment, endpoint)
    return max(candidates, key=lambda item: (len(item.path), _STRENGTH[item.level]))


def contains(place: str, path: str) -> bool:
    """Whether `path` is `place` or lies under it, whole segments compared."""
    folder = place.partition("?")[0].rstrip("/")
    return path in {place, folder} or path.startswith(f"{folder}/")


def _endpoint_root(environment: Environment, endpoint: Endpoint) -> Requirement:
    """Of a host without applications. Where consoles are only at paths nobody named the root, so it is said why.

    It is required there, too: what asks for the host itself (https.redirect, HSTS) asks for its root. Whether its
    environment demands that anyway must not decide, since stored runs do not know what it demanded.
    """
    line = _role_line(endpoint)
    if endpoint.consoles and all(path != ROOT for _, path in endpoint.console_places):
        line = structs.replace(
            line, text=f"{line.text}, whose host is judged by its root", words=f"{line.words}; the whole host"
        )
    return _decide(ROOT, [*_environment_pages(environment), line], None, None, hsts=environment.hsts)


def _console(environment: Environment, endpoint: Endpoint, role: Role, path: str) -> Requirement:
    at = "" if path == ROOT else f" at {path}"
    line = _Line(HttpsLevel.TLS, f'[[environment.endpoint]] {endpoint.address}: role = "{role}"{at}', _as_role(role))
    found = _decide(path, [*_environment_pages(environment), line], None, None, hsts=environment.hsts)
    return structs.replace(found, role=role)


def _application(environment: Environment, endpoint: Endpoint, application: Application) -> Iterator[Requirement]:
    name = application.name
    always = []
    if endpoint.role.is_console:
        always.append(_role_line(endpoint))
    if application.kind.always_https:
        text = f'[[environment.application]] {name}: kind = "{application.kind}"'
        always.append(_Line(HttpsLevel.TLS, text, f"application {name}: always HTTPS, as {application.kind}"))
    text = f'[[environment.application]] {name}: https = "{application.https}"'
    own = _Line(application.https, text, f"application {name}: its own setting")
    pages = [*_environment_pages(environment), *always]
    integrations = [*_environment_integrations(environment), *always]
    if application.force_https_screens:
        text = f"[[environment.application]] {name}: force_https_screens = true"
        pages.append(_Line(HttpsLevel.TLS, text, f"application {name}: HTTPS for all its screens"))
    if application.force_https_integrations:
        text = f"[[environment.application]] {name}: force_https_integrations = true"
        integrations.append(_Line(HttpsLevel.TLS, text, f"application {name}: HTTPS for all its integrations"))
    if all(item.path != ROOT for item in application.paths):
        yield _decide(ROOT, [*pages, own], name, None, hsts=environment.hsts)
    for path in application.paths:
        yield _decide(path.path, [*pages, _path_line(name, path)], name, None, hsts=environment.hsts)
    for integration in application.integrations:
        lines = [*integrations, _integration_line(name, integration)]
        yield _decide(integration.path, lines, name, integration.kind, hsts=False)


def _environment_pages(environment: Environment) -> list[_Line]:
    settings = (("hsts", environment.hsts), ("force_https_screens", environment.force_https_screens))
    return [_environment_line(environment, name) for name, is_set in settings if is_set]


def _environment_integrations(environment: Environment) -> list[_Line]:
    return [_environment_line(environment, "force_https_integrations")] if environment.force_https_integrations else []


def _environment_line(environment: Environment, setting: str) -> _Line:
    words = f"environment {environment.name}: {_ENVIRONMENT_WORDS[setting]}"
    return _Line(HttpsLevel.TLS, f"[[environment]] {environment.name}: {setting} = true", words)


def _as_role(role: Role) -> str:
    return f"role of the endpoint: {_ROLES[role]}"


def _role_line(endpoint: Endpoint) -> _Line:
    if endpoint.implied_by:
        text = f'[[environment]] {endpoint.environment}: {endpoint.implied_by} = "{endpoint.host}"'
        return _Line(HttpsLevel.TLS, text, f"environment {endpoint.environment}: {_DOMAIN_WORDS[endpoint.implied_by]}")
    text = f'[[environment.endpoint]] {endpoint.address}: role = "{endpoint.role}"'
    return _Line(HttpsLevel.TLS, text, _as_role(endpoint.role))


def _path_line(application: str, path: PathSetting) -> _Line:
    text = f'[[environment.application]] {application}: paths {path.path}: https = "{path.https}"'
    return _Line(path.https, text, f"application {application}: this path")


def _integration_line(application: str, integration: Integration) -> _Line:
    text = f'[[environment.application]] {application}: integrations {integration.path}: https = "{integration.https}"'
    return _Line(integration.https, text, f"application {application}: this integration")


def _decide(
    path: str, lines: list[_Line], application: str | None, integration: IntegrationKind | None, *, hsts: bool
) -> Requirement:
    decisive = max(lines, key=lambda line: _STRENGTH[line.level])
    overridden = tuple(line.text for line in lines if _STRENGTH[line.level] < _STRENGTH[decisive.level])
    return Requirement(
        path=path,
        level=decisive.level,
        decided_by=decisive.text,
        setting=decisive.words,
        application=application,
        integration=integration,
        hsts=hsts,
        overridden=overridden,
    )
