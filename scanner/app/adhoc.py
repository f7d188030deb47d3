"""Reads the TARGETs of `nightseal scan`: host, host:port, https://host/path, [v6]:port, smtp://host:25."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

import click
from msgspec import Struct

from scanner import inventories
from scanner.app.slips import refuse_slip
from scanner.app.standpoint import Standpoint
from scanner.counting import counted
from scanner.errors import UsageError, nearest
from scanner.evidence import Failure
from scanner.hostname import HostError, normalised
from scanner.inventory import (
    Application,
    ApplicationKind,
    ClientCertificate,
    Endpoint,
    Environment,
    EnvironmentKind,
    HttpsLevel,
    PathSetting,
    Role,
    StartTls,
    is_address,
)
from scanner.probe.dns import addresses_of
from scanner.probe.mail.records import servers_of

ENVIRONMENT = "ad-hoc"
_HTTPS_PORT = 443
_HTTP_PORT = 80
_RESOLVER_S = 10.0
_LARGEST_LIST = 4 << 20
_SEVERAL = re.compile(r"(?P<hosts>[0-9A-Fa-f.:]+/\d+|[0-9.]+-[0-9.]+|[0-9A-Fa-f:]+-[0-9A-Fa-f:]+)(?::\d+)?")
"""A network or a range of addresses, as far as these are written alike, with a port or without."""
_PORTS = re.compile(r"(?P<before>.*):(?P<ports>\d+(?:,\d+)+)(?P<after>(?:/.*)?)")


class Scheme(Struct, frozen=True):
    """What a URL scheme means: the port it implies, and the STARTTLS protocol (None where TLS comes at once)."""

    port: int
    starttls: StartTls | None
    web: bool = False


SCHEMES: dict[str, Scheme] = {
    "https": Scheme(_HTTPS_PORT, None, web=True),
    "tls": Scheme(_HTTPS_PORT, None),
    **{name: Scheme(port, protocol) for protocol in StartTls for name, port in protocol.spoken.schemes.items()},
    **{name: Scheme(port, None) for protocol in StartTls for name, port in protocol.spoken.tls_schemes.items()},
}
_WELL_KNOWN = {scheme.port: scheme for scheme in SCHEMES.values() if not scheme.web}


def targets_in(source: str) -> Sequence[str]:
    """The targets that a file names, one a line; what follows a # is left out. "-" is stdin.

    Raises:
        UsageError: it cannot be read, or is too large to be a list of hosts.
    """
    try:
        with click.open_file(source, "rb") as file:
            data = file.read(_LARGEST_LIST + 1)
    except OSError as error:
        raise UsageError(f"--file {source}: cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST_LIST:
        raise UsageError(f"--file {source}: is larger than {_LARGEST_LIST >> 20} MiB, so it is not a list of hosts")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"--file {source}: is not UTF-8: {error.reason} at byte {error.start}") from error
    return [target for line in lines if (target := line.partition("#")[0].strip())]


MAIL_DOMAIN = "mx:"


def mail_endpoints(text: str, server: str | None) -> tuple[Endpoint, ...]:
    """The mail servers of `mx:DOMAIN`, by preference; `server` is a name server to ask instead of the system's.

    Where no resolver answers, it is the domain itself, which is not scanned: unknown is not wrong use.

    Raises:
        UsageError: the domain is none, or takes no mail (RFC 7505).
    """
    if text == MAIL_DOMAIN:
        raise UsageError(f'"{text}": names no domain (such as {MAIL_DOMAIN}example.com)')
    domain = parse_target(text.removeprefix(MAIL_DOMAIN)).host
    found = asyncio.run(servers_of(domain, server, _RESOLVER_S))
    if isinstance(found, Failure):
        why = f"the MX records could not be looked up: {found.detail or found.reason}"
        return (replace(parse_target(f"smtp://{domain}"), mail_domain=domain, unresolved=why),)
    if not found:
        raise UsageError(f'"{text}": the domain accepts no mail: it has a null MX record (RFC 7505)')
    return tuple(
        replace(parse_target(f"smtp://{item.host}"), mail_domain=domain, mail_preference=item.preference)
        for item in found
    )


def endpoints_of(
    targets: Sequence[str], starttls: str | None = None, server: str | None = None
) -> tuple[Endpoint, ...]:
    """The endpoints that TARGETs name: several ports of a host may stand in one, as `host:443,8443`.

    `starttls` is the protocol of those that name none, as `smtp` is of `smtp://host`; `server` is a name server to ask
    for the servers of mail domains, which are `mx:domain`.

    Raises:
        UsageError: there is none, or one of them cannot be read.
    """
    if not targets:
        raise UsageError("nothing to scan: name a TARGET such as www.example.com, or a file of them with --file")
    for text in targets:
        refuse_slip(text, SCHEMES)
    mail = [endpoint for text in targets if text.startswith(MAIL_DOMAIN) for endpoint in mail_endpoints(text, server)]
    targets = [text for text in targets if not text.startswith(MAIL_DOMAIN)]
    upgraded = (text if starttls is None or "://" in text else f"{starttls}://{text}" for text in targets)
    return (*mail, *(parse_target(one) for text in upgraded for one in _each_port(text)))


def identified(endpoints: Sequence[Endpoint], identity: ClientCertificate | None) -> tuple[Endpoint, ...]:
    """The endpoints as they are asked with a client certificate: one is demanded there, so it is seen whether it is."""
    if identity is None:
        return tuple(endpoints)
    return tuple(
        replace(
            endpoint,
            applications=tuple(
                replace(application, https=HttpsLevel.TLS_CLIENT_CERTIFICATE, client_certificate=identity)
                for application in endpoint.applications
                or (Application(endpoint.host, ApplicationKind.TRADITIONAL_WEB),)
            ),
        )
        for endpoint in endpoints
    )


def under_name(
    endpoints: Sequence[Endpoint],
    name: str,
    connect_to: Mapping[str, Sequence[str]],
    *,
    resolving: bool,
    server: str | None = None,
) -> tuple[tuple[Endpoint, ...], Mapping[str, Sequence[str]]]:
    """The endpoints as they are asked for under another name: `--connect-to` leads that name to where they are.

    `resolving` tells whether names may be resolved here: behind a proxy they are not. `server` is a name server to ask
    instead of the system's resolver.

    Raises:
        UsageError: the name is none, or an endpoint's own does not resolve.
    """
    wanted = parse_target(name).host
    there: dict[str, Sequence[str]] = dict(connect_to)
    renamed = []
    for endpoint in endpoints:
        again = replace(endpoint, host=wanted)
        for port in filter(None, (endpoint.port, endpoint.http_port)):
            if not resolving and not endpoint.is_address:
                raise UsageError("--sni through a proxy needs the address of TARGET: names are resolved at the proxy")
            places = connect_to.get(f"{endpoint.host}:{port}") or _places(endpoint.host, port, server)
            there[f"{wanted}:{port}"] = [*there.get(f"{wanted}:{port}", ()), *places]
        renamed.append(again)
    return tuple(renamed), there


def asked_for(  # noqa: PLR0913  # what decides where something is
    named: Sequence[str],
    connect_to: Mapping[str, Sequence[str]],
    *,
    starttls: str | None,
    sni: str | None,
    standpoint: Standpoint,
    identity: ClientCertificate | None = None,
) -> tuple[tuple[Endpoint, ...], Mapping[str, Sequence[str]]]:
    """The endpoints that TARGETs name, as options say how they are asked for, and where each name leads.

    Where a proxy carries everything, no name server is asked past it.

    Raises:
        UsageError: one of them cannot be read, or not be found without asking a name server past the proxy.
    """
    through_proxy = standpoint.carrier is not None
    if through_proxy and (mail := next((text for text in named if text.startswith(MAIL_DOMAIN)), None)):
        raise UsageError(
            f'"{mail}": MX records cannot be looked up through a proxy: name the mail servers (smtp://host)'
        )
    endpoints = identified(endpoints_of(named, starttls, standpoint.resolver), identity)
    if sni is None:
        return endpoints, connect_to
    return under_name(endpoints, sni, connect_to, resolving=not through_proxy, server=standpoint.resolver)


def _places(host: str, port: int, server: str | None) -> Sequence[str]:
    try:
        found = (host,) if is_address(host) else asyncio.run(asyncio.wait_for(addresses_of(host, server), _RESOLVER_S))
    except TimeoutError as error:
        raise UsageError(f'--sni: "{host}" does not resolve within {_RESOLVER_S:g} s') from error
    if isinstance(found, Failure):
        raise UsageError(f'--sni: "{host}" does not resolve: {found.detail or found.reason}')
    return [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip in sorted(found)]


def _each_port(text: str) -> Sequence[str]:
    """A target for each of the ports that one names."""
    found = _PORTS.fullmatch(text)
    if found is None:
        return (text,)
    return [f"{found['before']}:{port}{found['after']}" for port in found["ports"].split(",")]


def _refuse_several(text: str) -> None:
    """A network is no host with a path, though it is written alike, and a range is no name.

    Raises:
        UsageError: it is one of them.
    """
    scheme, _, rest = text.rpartition("://")
    found = _SEVERAL.fullmatch(rest.replace("[", "").replace("]", ""))
    count = inventories.count_of(found["hosts"]) if found else None
    address, slash, length = found["hosts"].partition("/") if found else ("", "", "")
    # A URL of a host within a network has a path; one of the network itself would be asked for nothing.
    if found is None or count is None or (scheme and slash and not _begins_network(found["hosts"])):
        return
    hint = "write the hosts that are meant, one a line, in a file for --file"
    hint = f"{hint}; to scan the path /{length} of {address}, write /{length}/" if scheme and slash else hint
    raise UsageError(f'"{text}" is a {"network" if slash else "range"} of {counted(count, "host")} ({hint})')


def _begins_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def parse_target(text: str) -> Endpoint:
    """Read one TARGET as an endpoint of the ad-hoc environment.

    Without a scheme, a port that is registered for a STARTTLS protocol or a TLS service other than HTTPS means it.

    Raises:
        UsageError: it is none of the forms, or names a port that cannot be.
    """
    explicit = "://" in text
    _refuse_several(text)
    try:
        parts = urlsplit(text if explicit else f"//{text}")
    except ValueError as error:
        raise UsageError(f'"{text}": write host, host:port or https://host/path ({error})') from error
    if explicit and parts.scheme not in SCHEMES:
        known = ", ".join(SCHEMES)
        hint = nearest(parts.scheme, SCHEMES) or f"known schemes: {known}"
        if parts.scheme == "http":
            secure, colon, plain = parts.netloc.rpartition(":")
            if not colon or not plain.isdecimal():
                secure, plain = parts.netloc, ""
            # What answers plain HTTP at a port of its own has its HTTPS at another, which nobody here knows.
            doubt = f"; if port {plain} speaks TLS, https://{parts.netloc}" if plain not in {"", "80"} else ""
            hint = f"plain HTTP is checked together with HTTPS: nightseal scan https://{secure}{parts.path}{doubt}"
        raise UsageError(f'"{text}": the scheme "{parts.scheme}" cannot be scanned ({hint})')
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
        raise UsageError(f'"{text}": it contains no host name (write host, host:port or https://host/path)')
    try:
        return normalised(host)
    except HostError as error:
        raise UsageError(f'"{text}": {error}{f" ({error.hint})" if error.hint else ""}') from error


def _port(text: str, parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError as error:
        raise UsageError(f'"{text}": the port must be a number from 1 to 65535') from error
    if port == 0:
        raise UsageError(f'"{text}": the port must be a number from 1 to 65535')
    return port
