"""The form of what is scanned: environments, their applications and endpoints, and who answers for them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from scanner.config.values import (
    Event,
    Form,
    Labels,
    Method,
    Name,
    Port,
    ShortText,
    SourceName,
    UrlPath,
    VariableName,
    ZoneName,
)
from scanner.inventory import ApplicationKind, EnvironmentKind, HttpsLevel, IntegrationKind, Role, StartTls
from scanner.judgement import Severity


class ClientCertificateForm(Form):
    """A client certificate, as PEM files."""

    cert: str
    """Path of the certificate, with its chain."""
    key: str
    """Path of its private key."""


class PathForm(Form):
    """A path of an application with a level of its own."""

    path: UrlPath
    """Begins with a slash."""
    https: HttpsLevel = HttpsLevel.TLS
    """How HTTPS is required there."""


class IntegrationForm(Form):
    """An exposed SOAP or REST service."""

    path: UrlPath
    """Begins with a slash."""
    kind: IntegrationKind
    """soap or rest."""
    https: HttpsLevel = HttpsLevel.TLS
    """How HTTPS is required there."""
    methods: list[Method] = []
    """HTTP methods that may be sent besides the harmless ones; none by default."""


class OwnedForm(Form):
    """Who answers for it."""

    owner: Name | None = None
    """Who answers for it: the name of an [[owner]], where there are any. Inherited: [defaults], environment."""
    contact: ShortText | None = None
    """How they are reached. Inherited like the owner."""
    labels: Labels = {}
    """Words of your own, such as { tier = "1" }. Inherited, and joined with those of the environment and [defaults]."""


class ApplicationForm(OwnedForm):
    """Something that people or programs use."""

    name: Name
    """Unique in its environment."""
    kind: ApplicationKind
    """mobile-backend, pwa and reactive-web are always over HTTPS, whatever is set."""
    host: str
    """Host name or IP address."""
    port: Port = 443
    """Port of HTTPS."""
    http_port: int = Field(default=80, ge=0, le=65535)
    """Port at which plain HTTP would answer; 0 where it is not to be asked."""
    https: HttpsLevel = HttpsLevel.TLS
    """How HTTPS is required of the whole application."""
    client_certificate: ClientCertificateForm | None = None
    """With which the scanner identifies itself where one is required."""
    force_https_screens: bool = False
    """Page requests are redirected to HTTPS."""
    force_https_integrations: bool = False
    """SOAP and REST are served over HTTPS only."""
    paths: list[PathForm] = []
    """Paths with a level of their own."""
    integrations: list[IntegrationForm] = []
    """Exposed SOAP and REST services."""


class EndpointForm(OwnedForm):
    """A host and port that no application stands for."""

    host: str
    """Host name or IP address."""
    port: Port = 443
    """Port."""
    role: Role = Role.APPLICATION
    """application, development, monitoring or server."""
    http_port: int | None = Field(default=None, ge=0, le=65535)
    """Port at which plain HTTP would answer: 80 for port 443 of a web role, else not asked."""
    starttls: StartTls | None = None
    """Protocol whose connection is upgraded to TLS."""
    xmpp_domain: str | None = None
    """The domain that an XMPP server is asked for, where it is not the host."""
    paths: list[UrlPath] = []
    """Where a development endpoint or console is, such as "/ServiceCenter"; at the root by default."""


class CertificateFilesForm(OwnedForm):
    """Certificates that no port shows: files on the machine that scans, of a zone on those of its workers."""

    files: list[Annotated[str, StringConstraints(min_length=1)]] = Field(min_length=1)
    """Paths, and globs of them: PEM, DER, PKCS#12 and JKS, which are distinguished by what is in them."""
    password_variable: VariableName | None = None
    """Environment variable that has the password of PKCS#12 files; a password stands in no configuration."""


class DefaultsForm(OwnedForm):
    """What endpoints and applications are unless they say otherwise."""

    port: Port | None = None
    """Port of HTTPS."""
    http_port: int | None = Field(default=None, ge=0, le=65535)
    """Port at which plain HTTP would answer; 0 where it is not to be asked."""
    role: Role | None = None
    """Of endpoints."""
    starttls: StartTls | None = None
    """Of endpoints."""
    kind: ApplicationKind | None = None
    """Of applications."""
    https: HttpsLevel | None = None
    """Of applications: how HTTPS is required of them."""
    client_certificate: ClientCertificateForm | None = None
    """Of applications."""
    force_https_screens: bool | None = None
    """Of applications."""
    force_https_integrations: bool | None = None
    """Of applications."""


class OwnerForm(Form):
    """Somebody who answers for environments, applications or endpoints."""

    name: Name
    """Unique; what `owner` says elsewhere."""
    contact: ShortText | None = None
    """How they are reached, where nothing nearer says so."""
    notify: list[str] = []
    """Names of [[notify]] sections that are told what is this owner's, and nothing else."""
    on: list[Event] | None = None
    """The events that they are told of; by default those of the receiver."""
    severity: Severity | None = None
    """From which severity on they are told of failures; by default that of the receiver."""
    digest: Literal["never", "run", "day", "week"] | None = None
    """How the owner's hosts stand when nothing changed; by default as the receiver has it."""


class InventoryForm(Form):
    """A file of hosts, read each time."""

    source: Annotated[str, StringConstraints(min_length=1)] = Field(alias="from")
    """The file; the columns of a table are named by its first row."""
    format: SourceName | None = None
    """Its form, where its name does not tell: that of `nightseal import --from`."""
    columns: dict[str, str] = {}
    """Which column of a table holds what, where it has names of its own: { host = "FQDN", owner = "Team" }."""
    sheet: str | None = None
    """Of a workbook; the first by default."""
    origin: str | None = None
    """The domain of a zone file that does not say it."""
    expand: bool = False
    """Whether networks and ranges of addresses are taken as their addresses; wants expected_count."""
    expected_count: int | None = Field(default=None, ge=0)
    """How many hosts of it are this environment's; `config check` warns where that is not so."""


class EnvironmentForm(OwnedForm):
    """One installation stage."""

    name: Name
    """Unique."""
    kind: EnvironmentKind
    """paas or on-premises."""
    zone: ZoneName | None = None
    """Which workers scan it (`nightseal worker --zone`); the machine of the run where it is missing."""
    default_domain: str | None = None
    """PaaS: the provider's domain, with a certificate from the start; scanned itself where no host is under it."""
    custom_domain: str | None = None
    """PaaS: the own host name beside the provider's; scanned itself where no host is under it."""
    policy: str | None = None
    """Overrides [nightseal] policy."""
    trust_store: str | None = None
    """Overrides [scan] trust_store."""
    hsts: bool = False
    """Every page request is redirected to HTTPS, with HSTS."""
    force_https_screens: bool = False
    """Page requests are redirected to HTTPS; overrides the applications'."""
    force_https_integrations: bool = False
    """SOAP and REST are served over HTTPS only; overrides the applications'."""
    defaults: DefaultsForm = DefaultsForm()
    """What its endpoints and applications are unless they say otherwise."""
    inventory: list[InventoryForm] = []
    """Files of hosts: spreadsheets, zones and what else `nightseal import` reads."""
    endpoint: list[EndpointForm] = []
    """Endpoints that no application stands for."""
    application: list[ApplicationForm] = []
    """Applications."""
    certificate: list[CertificateFilesForm] = []
    """Certificates in files."""
