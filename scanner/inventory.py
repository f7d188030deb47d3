"""What is to be scanned: environments, their applications and endpoints, and the targets that they resolve to.

Plain frozen values in the vocabulary of `docs/glossary.md`; `scanner.config` builds them from a checked file.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from msgspec import Struct
from pydantic import PlainSerializer

from scanner.ownership import NOBODY, Ownership
from scanner.starttls import StartTls as StartTls  # noqa: PLC0414  # a part of an endpoint, told to mypy as ours
from scanner.untrusted import printable

_IN_ORDER: Final = PlainSerializer(lambda names: names if names is None else sorted(names), list[str] | None)
"""A set is written in order, so that the same run always makes the same file."""


class EnvironmentKind(StrEnum):
    """Who runs the environment: a platform provider, or its owner."""

    PAAS = "paas"
    ON_PREMISES = "on-premises"


class ApplicationKind(StrEnum):
    """The kinds of application that the HTTPS rules tell apart."""

    TRADITIONAL_WEB = "traditional-web"
    REACTIVE_WEB = "reactive-web"
    MOBILE_BACKEND = "mobile-backend"
    PWA = "pwa"
    SERVICE = "service"

    @property
    def always_https(self) -> bool:
        """Whether the back end is served over HTTPS whatever its settings say."""
        return self in {self.REACTIVE_WEB, self.MOBILE_BACKEND, self.PWA}


class Role(StrEnum):
    """What an endpoint is for."""

    APPLICATION = "application"
    DEVELOPMENT = "development"
    MONITORING = "monitoring"
    SERVER = "server"

    @property
    def is_console(self) -> bool:
        """Whether administrators or developers sign in there, so that it is over HTTPS whatever is set."""
        return self in {Role.DEVELOPMENT, Role.MONITORING}

    @property
    def speaks_http(self) -> bool:
        """Whether HTTP is spoken inside TLS, so that redirects, HSTS and cookies can be asked for."""
        return self is not Role.SERVER


class HttpsLevel(StrEnum):
    """How HTTPS is required of a path, an integration or a whole application."""

    NONE = "none"
    TLS = "tls"
    TLS_CLIENT_CERTIFICATE = "tls-client-certificate"


class IntegrationKind(StrEnum):
    """The protocols of exposed integrations."""

    REST = "rest"
    SOAP = "soap"


FILE: Final = "file:"
"""Begins what stands in a host's place where certificates of a file are judged."""
THIS_MACHINE: Final = "file"
"""Stands in the address's place of a file, which is where the scanner is."""
CLIENT_FILE: Final = "client:"
"""The same of a certificate by which the scanner, or another client, identifies itself."""
_LONGEST_NAME: Final = 1 << 16
"""Characters of a file's name with its folders, of which systems allow 4096, each written in ten at most."""


def file_host(name: str) -> str:
    """How a file stands in a host's place: names may hold control characters, and bytes that are no text."""
    return printable(name, _LONGEST_NAME)


def address_of(host: str, port: int) -> str:
    """`host:port`, with an IPv6 literal in brackets; a file, which has no port, by its name alone."""
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_address(host: str) -> bool:
    """Whether a host is given as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class DomainKey(StrEnum):
    """The keys of an environment that name a host by themselves: those of its platform's two host names."""

    DEFAULT = "default_domain"
    CUSTOM = "custom_domain"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate and key, both PEM files, with which the scanner may identify itself."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class PathSetting:
    """A path of an application and the level of HTTPS that its owners require there."""

    path: str
    https: HttpsLevel


@dataclass(frozen=True, slots=True)
class Integration:
    """An exposed SOAP or REST service. `methods` are asked for only when its owners listed them."""

    path: str
    kind: IntegrationKind
    https: HttpsLevel
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Console:
    """Where a console is: its role, and the paths of it at the endpoint's host; the root where none was configured."""

    role: Role
    paths: tuple[str, ...] = ("/",)


@dataclass(frozen=True, slots=True)
class Application:
    """Something that people or programs use inside an environment.

    The two `force_*` settings are the application's own; its environment's win over them.
    """

    name: str
    kind: ApplicationKind
    https: HttpsLevel = HttpsLevel.TLS
    paths: tuple[PathSetting, ...] = ()
    integrations: tuple[Integration, ...] = ()
    client_certificate: ClientCertificate | None = None
    force_https_screens: bool = False
    force_https_integrations: bool = False
    ownership: Ownership = NOBODY


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """A file with certificates, and the environment variable that has its password, where it needs one."""

    path: Path
    password_variable: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One host name (or address) and port of an environment, with everything that is served there.

    `http_port` is where plain HTTP would answer, None where it is not asked for. `xmpp_domain` is what an XMPP server
    is asked for, if not the host. `mail_domain` is the domain whose mail server it is, by an MX record of
    `mail_preference`; `unresolved` says why it is unknown which host is meant, so that nothing is asked there. Several
    applications commonly share one endpoint: it is scanned once, and judged for each of them. `implied_by` is the key
    of the environment that names the host, where no endpoint or application of the configuration does. `file` is where
    certificates are read from, if they are no port's.
    """

    environment: str
    host: str
    port: int
    role: Role = Role.APPLICATION
    http_port: int | None = None
    starttls: StartTls | None = None
    applications: tuple[Application, ...] = ()
    implied_by: DomainKey | None = None
    consoles: tuple[Console, ...] = ()
    ownership: Ownership = NOBODY
    xmpp_domain: str | None = None
    mail_domain: str | None = None
    mail_preference: int | None = None
    unresolved: str = ""
    file: CertificateFile | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is a file with certificates, which no port shows; `host` is `file:` or `client:` and its name."""
        return not self.port

    @property
    def is_client_file(self) -> bool:
        """Whether it is a certificate by which a client identifies itself."""
        return self.is_file and self.host.startswith(CLIENT_FILE)

    @property
    def console_places(self) -> tuple[tuple[Role, str], ...]:
        """Where consoles are at this endpoint: each with its role and path."""
        if self.consoles:
            return tuple((console.role, path) for console in self.consoles for path in console.paths)
        return ((self.role, "/"),) if self.role.is_console else ()

    @property
    def owners(self) -> tuple[str, ...]:
        """All who answer for what is there, each once: owners of its applications, and of consoles beside them."""
        named = [app.ownership.owner for app in self.applications if app.ownership.owner]
        named += self.ownership.owners if self.consoles or not named else ()
        return tuple(dict.fromkeys(named))

    @property
    def whose(self) -> Ownership:
        """The same with the labels, and with how each of them is reached."""
        first, *others = self.owners or (None,)
        reached = tuple((name, contact) for name in others if name and (contact := self.contact_of(name)))
        return Ownership(first, self.contact_of(first), self.ownership.labels, tuple(filter(None, others)), reached)

    def contact_of(self, owner: str | None) -> str | None:
        """How an owner of what is there is reached, as far as it was said beside that owner."""
        said = (self.ownership, *(app.ownership for app in self.applications))
        return next((item.contact for item in said if item.contact and item.owner == owner), None)

    @property
    def address(self) -> str:
        """`host:port`, with an IPv6 literal in brackets."""
        return address_of(self.host, self.port)

    @property
    def id(self) -> str:
        """`environment/host:port`, the form that a waiver's scope is matched against."""
        return f"{self.environment}/{self.address}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address: no SNI is sent then, and HSTS does not apply (RFC 6797 section 8.1.1)."""
        return is_address(self.host)


@dataclass(frozen=True, slots=True)
class InventorySource:
    """A file that an environment's hosts were read from: its name, how many there are, and how many were expected."""

    name: str
    hosts: int
    expected: int | None = None

    @property
    def as_expected(self) -> bool:
        """Whether there are as many as were expected, where anybody expected anything."""
        return self.expected in {None, self.hosts}


class Untaken(Struct, frozen=True):
    """A host of an inventory file that no environment takes: it is in another one, or in none.

    `environment` is the one that the file names, `place` the file with the line.
    """

    host: str
    port: int
    environment: str
    place: str


@dataclass(frozen=True, slots=True)
class Environment:
    """One installation stage of an infrastructure.

    `zone` names the workers that look at it, None the machine of the run. `sources` are the files that hosts of it were
    read from. `known_hosts` are the hosts of all environments of its configuration, None where there is none.
    """

    name: str
    kind: EnvironmentKind
    endpoints: tuple[Endpoint, ...] = ()
    default_domain: str | None = None
    custom_domain: str | None = None
    policy: str | None = None
    hsts: bool = False
    force_https_screens: bool = False
    force_https_integrations: bool = False
    trust_store: str | None = None
    ownership: Ownership = NOBODY
    sources: tuple[InventorySource, ...] = ()
    known_hosts: Annotated[frozenset[str] | None, _IN_ORDER] = field(default=None, repr=False)
    zone: str | None = None

    @property
    def domains(self) -> dict[DomainKey, str]:
        """The platform's host names, as far as they are configured."""
        named = {DomainKey.DEFAULT: self.default_domain, DomainKey.CUSTOM: self.custom_domain}
        return {key: domain for key, domain in named.items() if domain}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: an IP address and the ports there, which a connect-to entry may have changed."""

    ip: str
    port: int
    http_port: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint at one address. `address` is None where the name did not resolve."""

    endpoint: Endpoint
    address: Address | None

    @property
    def id(self) -> str:
        """`environment/host:port@ip`, unique in a run and stable between runs."""
        return f"{self.endpoint.id}@{self.ip or (THIS_MACHINE if self.endpoint.is_file else 'unresolved')}"

    @property
    def ip(self) -> str | None:
        """The address, or None where the name did not resolve."""
        return self.address.ip if self.address else None


class Inventory(Struct, frozen=True):
    """All environments of a configuration, in its order, and the hosts of inventory files that none of them takes."""

    environments: tuple[Environment, ...] = ()
    untaken: tuple[Untaken, ...] = ()

    def environment(self, name: str) -> Environment:
        """Return the environment of that name.

        Raises:
            KeyError: there is none.
        """
        for environment in self.environments:
            if environment.name == name:
                return environment
        raise KeyError(name)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint of every environment, in the configuration's order."""
        return tuple(endpoint for environment in self.environments for endpoint in environment.endpoints)
