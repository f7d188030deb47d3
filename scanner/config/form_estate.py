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
    """A path of an application with a different level."""

    path: UrlPath
    """Begins with a slash."""
    https: HttpsLevel = HttpsLevel.TLS
    """Level of HTTPS that is required there."""


class IntegrationForm(Form):
    """An exposed SOAP or REST service."""

    path: UrlPath
    """Begins with a slash."""
    kind: IntegrationKind
    """soap or rest."""
    https: HttpsLevel = HttpsLevel.TLS
    """Level of HTTPS that is required there."""
    methods: list[Method] = []
    """HTTP methods that may be sent besides the harmless ones; none by default."""


class OwnedForm(Form):
    """The responsible person or team."""

    owner: Name | None = None
    """The responsible owner: the name of an [[owner]], if there are any. Inherited from environment and [defaults]."""
    contact: ShortText | None = None
    """Contact of the owner. Inherited like the owner."""
    labels: Labels = {}
    """Labels of your choice, such as { tier = "1" }. Inherited, and joined with those of environment and [defaults]."""


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
    """Port of plain HTTP; 0 if it should not be checked."""
    https: HttpsLevel = HttpsLevel.TLS
    """Level of HTTPS that is required of the whole application."""
    client_certificate: ClientCertificateForm | None = None
    """Client certificate of the scanner, if one is required."""
    force_https_screens: bool = False
    """Page requests are redirected to HTTPS."""
    force_https_integrations: bool = False
    """SOAP and REST are served over HTTPS only."""
    paths: list[PathForm] = []
    """Paths with a different level."""
    integrations: list[IntegrationForm] = []
    """Exposed SOAP and REST services."""


class EndpointForm(OwnedForm):
    """A host and port that belongs to no configured application."""

    host: str
    """Host name or IP address."""
    port: Port = 443
    """Port."""
    role: Role = Role.APPLICATION
    """application, development, monitoring or server."""
    http_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of plain HTTP. Default: 80 for port 443 of a web role, otherwise it is not checked."""
    starttls: StartTls | None = None
    """Protocol whose connection is upgraded to TLS."""
    xmpp_domain: str | None = None
    """Domain to request from an XMPP server, if it is not the host."""
    paths: list[UrlPath] = []
    """Paths of a development endpoint or console, such as "/ServiceCenter"; at the root by default."""


class CertificateFilesForm(OwnedForm):
    """Certificates in files on the scanning machine, or on the workers of a zone."""

    files: list[Annotated[str, StringConstraints(min_length=1)]] = Field(min_length=1)
    """Paths and globs of PEM, DER, PKCS#12 and JKS files. The format is detected from the content."""
    password_variable: VariableName | None = None
    """Environment variable with the password of PKCS#12 files; passwords are never part of the configuration."""


class DefaultsForm(OwnedForm):
    """Defaults for endpoints and applications."""

    port: Port | None = None
    """Port of HTTPS."""
    http_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of plain HTTP; 0 if it should not be checked."""
    role: Role | None = None
    """Of endpoints."""
    starttls: StartTls | None = None
    """Of endpoints."""
    kind: ApplicationKind | None = None
    """Of applications."""
    https: HttpsLevel | None = None
    """Of applications: level of HTTPS that is required."""
    client_certificate: ClientCertificateForm | None = None
    """Of applications."""
    force_https_screens: bool | None = None
    """Of applications."""
    force_https_integrations: bool | None = None
    """Of applications."""


class OwnerForm(Form):
    """A person or team responsible for environments, applications or endpoints."""

    name: Name
    """Unique; referred to by `owner` elsewhere."""
    contact: ShortText | None = None
    """Contact, unless a more specific one is configured."""
    notify: list[str] = []
    """Names of [[notify]] sections that receive only what concerns this owner."""
    on: list[Event] | None = None
    """Events to report; by default those of the receiver."""
    severity: Severity | None = None
    """Lowest severity of failures to report; by default that of the receiver."""
    digest: Literal["never", "run", "day", "week"] | None = None
    """When to report the state of the owner's hosts although nothing changed; by default that of the receiver."""


class InventoryForm(Form):
    """A file of hosts, read each time."""

    source: Annotated[str, StringConstraints(min_length=1)] = Field(alias="from")
    """The file; the columns of a table are named by its first row."""
    format: SourceName | None = None
    """Format, if the file's name does not show it: as in `nightseal import --from`."""
    columns: dict[str, str] = {}
    """Meaning of a table's columns, if they have other names: { host = "FQDN", owner = "Team" }."""
    sheet: str | None = None
    """Sheet of a workbook; the first by default."""
    origin: str | None = None
    """Domain of a zone file that does not name it."""
    expand: bool = False
    """Whether networks and ranges are expanded into their addresses; requires expected_count."""
    expected_count: int | None = Field(default=None, ge=0)
    """Expected number of hosts of this environment; `config check` warns if it differs."""


class EnvironmentForm(OwnedForm):
    """One installation stage."""

    name: Name
    """Unique."""
    kind: EnvironmentKind
    """paas or on-premises."""
    zone: ZoneName | None = None
    """Zone whose workers scan it (`nightseal worker --zone`). Default: the machine of the run scans it."""
    default_domain: str | None = None
    """PaaS: the provider's domain, which has a certificate; scanned itself if no configured host is in it."""
    custom_domain: str | None = None
    """PaaS: your own domain beside the provider's; scanned itself if it contains no configured host."""
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
    """Defaults for its endpoints and applications."""
    inventory: list[InventoryForm] = []
    """Files of hosts: spreadsheets, zones and everything else that `nightseal import` reads."""
    endpoint: list[EndpointForm] = []
    """Endpoints that belong to no configured application."""
    application: list[ApplicationForm] = []
    """Applications."""
    certificate: list[CertificateFilesForm] = []
    """Certificates in files."""
