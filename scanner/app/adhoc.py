"""Reads the TARGETs of `nightseal scan`: host, host:port, https://host/path, [v6]:port, smtp://host:25."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import idna

from scanner.errors import UsageError, nearest
from scanner.inventory import (
    Application,
    ApplicationKind,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    PathSetting,
    Role,
    StartTls,
)

ENVIRONMENT = "ad-hoc"
_HTTPS_PORT = 443
_HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a URL scheme means: the port it implies, and the STARTTLS protocol (None where TLS comes at once)."""

    port: int
    starttls: StartTls | None
    web: bool = False


SCHEMES: dict[str, Scheme] = {
    "https": Scheme(_HTTPS_PORT, None, web=True),
    "tls": Scheme(_HTTPS_PORT, None),
    "smtp": Scheme(25, StartTls.SMTP),
    "submission": Scheme(587, StartTls.SMTP),
    "smtps": Scheme(465, None),
    "imap": Scheme(143, StartTls.IMAP),
    "imaps": Scheme(993, None),
    "pop3": Scheme(110, StartTls.POP3),
    "pop3s": Scheme(995, None),
    "ftp": Scheme(21, StartTls.FTP),
    "ftps": Scheme(990, None),
    "ldap": Scheme(389, StartTls.LDAP),
    "ldaps": Scheme(636, None),
    "xmpp": Scheme(5222, StartTls.XMPP),
    "xmpp-server": Scheme(5269, StartTls.XMPP_SERVER),
    "rdp": Scheme(3389, StartTls.RDP),
    "postgres": Scheme(5432, StartTls.POSTGRES),
    "postgresql": Scheme(5432, StartTls.POSTGRES),
}
_WELL_KNOWN = {scheme.port: scheme for scheme in SCHEMES.values() if not scheme.web}


def parse_target(text: str) -> Endpoint:
    """Read one TARGET as an endpoint of the ad-hoc environment.

    Without a scheme, a port that is registered for a STARTTLS protocol or a TLS service other than HTTPS means it.

    Raises:
        UsageError: it is none of the forms, or names a port that cannot be.
    """
    explicit = "://" in text
    parts = urlsplit(text if explicit else f"//{text}")
    if explicit and parts.scheme not in SCHEMES:
        known = ", ".join(SCHEMES)
        hint = nearest(parts.scheme, SCHEMES) or f"known schemes: {known}"
        if parts.scheme == "http":
            hint = f"plain HTTP is looked at along with HTTPS: nightseal scan https://{parts.netloc}{parts.path}"
        raise UsageError(f'"{text}": the scheme "{parts.scheme}" is not one that can be scanned ({hint})')
    host = _host(text, parts)
    port = _port(text, parts)
    if explicit:
        scheme = SCHEMES[parts.scheme]
    else:
        scheme = _WELL_KNOWN.get(port or 0, SCHEMES["https"]) if port != _HTTPS_PORT else SCHEMES["https"]
    number = port or scheme.port
    path = parts.path or "/"
    applications: tuple[Application, ...] = ()
    if scheme.web and path != "/":
        setting = PathSetting(path, HttpsLevel.TLS)
        applications = (Application(host, ApplicationKind.TRADITIONAL_WEB, paths=(setting,)),)
    return Endpoint(
        environment=ENVIRONMENT,
        host=host,
        port=number,
        role=Role.APPLICATION if scheme.web else Role.SERVER,
        http_port=_HTTP_PORT if scheme.web and number == _HTTPS_PORT else None,
        starttls=scheme.starttls,
        applications=applications,
    )


def environment_of(endpoints: tuple[Endpoint, ...]) -> Environment:
    """The environment that ad-hoc targets are in: no expectation beyond the policy's own."""
    unique = tuple({endpoint.id: endpoint for endpoint in endpoints}.values())
    return Environment(ENVIRONMENT, EnvironmentKind.ON_PREMISES, endpoints=unique)


def _host(text: str, parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not parts.netloc.startswith("[") and parts.netloc.count(":") > 1:
        raise UsageError(f'"{text}": an IPv6 address is written in brackets: [{text}]:443')
    if parts.username is not None or not host:
        raise UsageError(f'"{text}": there is no host name in it (write host, host:port or https://host/path)')
    try:
        return ipaddress.ip_address(host).compressed
    except ValueError:
        pass
    try:
        name = idna.encode(host.rstrip("."), uts46=True).decode() if not host.isascii() else host.rstrip(".")
    except idna.IDNAError as error:
        raise UsageError(f'"{text}": "{host}" is not a host name ({error})') from error
    labels = name.split(".")
    plain = all(0 < len(label) < 64 and label.replace("-", "").replace("_", "").isalnum() for label in labels)  # noqa: PLR2004  # RFC 1035: a label has at most 63 octets
    if not plain:
        raise UsageError(f'"{text}": "{host}" is not a host name')
    return name


def _port(text: str, parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f'"{text}": the port must be a number from 1 to 65535') from error
    if port == 0:
        raise UsageError(f'"{text}": the port must be a number from 1 to 65535')
    return port
