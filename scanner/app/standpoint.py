"""Where from and as whom: the options of a scan that say so, read into settings."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Final, Self

from msgspec import Struct, structs

from scanner import confidential
from scanner.errors import UsageError
from scanner.hostname import place_of
from scanner.inventory import ClientCertificate, is_address
from scanner.jobs.client_identity import misfit
from scanner.jobs.session import Overrides
from scanner.probe.http.tls import unusable

FROM_ENVIRONMENT: Final = "env"
_VARIABLES: Final = ("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy")
_HEADER: Final = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)[ \t]*"
)
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
_HELO: Final = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


class Standpoint(Struct, frozen=True):
    """Where a scan connects from, and as whom, as its options say it.

    Proxy and resolver are read at once, because they decide where TARGETs are; the rest when everything else that was
    given is known to be right.

    Attributes:
        carrier: the proxy that carries everything, whoever named it.
    """

    proxy: str | None
    carrier: str | None
    resolver: str | None
    source_address: str | None
    helo: str | None
    headers: tuple[str, ...]

    @classmethod
    def of(  # noqa: PLR0913  # one for each option, all of them by keyword
        cls,
        *,
        proxy: str | None,
        source_address: str | None,
        helo: str | None,
        resolver: str | None,
        headers: tuple[str, ...] = (),
        configured: str | None,
    ) -> Self:
        """Read where names are resolved; `configured` is the configuration's proxy.

        Raises:
            UsageError: the proxy is not to be found, or the name server not to be asked.
        """
        own = proxy_of(proxy)
        carrier = own or configured
        return cls(own, carrier, resolver_of(resolver, proxy=carrier), source_address, helo, headers)

    def added_to(self, overrides: Overrides) -> Overrides:
        """Read the rest, and say all of it with what else the command line says.

        Raises:
            UsageError: the address is not one of this machine, or a greeting or header cannot be sent.
        """
        return structs.replace(
            overrides,
            proxy=self.proxy,
            source_address=source_of(self.source_address),
            helo=helo_of(self.helo),
            headers=headers_of(self.headers),
            resolver=self.resolver,
        )


def proxy_of(given: str | None) -> str | None:
    """The proxy's URL; `env` takes it from ALL_PROXY or HTTPS_PROXY, so that a password stands on no command line.

    Raises:
        UsageError: `env`, and there is none.
    """
    if given != FROM_ENVIRONMENT:
        found = given
    else:
        found = next((value for name in _VARIABLES if (value := os.environ.get(name))), None)
        if found is None:
            raise UsageError(f"--proxy env: none of {', '.join(_VARIABLES)} is set")
    if found is not None:
        confidential.keep_parts(found)
    return found


def source_of(address: str | None) -> str | None:
    """The address to connect from.

    Raises:
        UsageError: it is none, or not one of this machine.
    """
    if address is not None and not is_address(address):
        raise UsageError(f'--source-address "{address}": is not an IP address of this machine')
    if address is not None:
        # Otherwise every target would be called unreachable.
        try:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as ours:
                ours.bind((address, 0))
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"--source-address {address}: cannot be connected from on this machine: {why}") from error
    return address


def helo_of(name: str | None) -> str | None:
    """What mail servers are greeted with.

    Raises:
        UsageError: it cannot stand in a greeting.
    """
    if name is not None and not _HELO.fullmatch(name):
        raise UsageError(f'--helo "{name}": is not a host name or an address literal')
    return name


def headers_of(entries: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Headers as "NAME: VALUE"; "@FILE" has one a line, so that a secret stands on no command line.

    Raises:
        UsageError: one has another form, or is one of those that the request itself decides.
    """
    lines = [line for entry in entries for line in (_lines(entry[1:]) if entry.startswith("@") else (entry,))]
    headers = []
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise UsageError('--header: should be "NAME: VALUE", or "@FILE" with one a line')
        name, value = found.groups()
        if name.lower() in _OURS:
            raise UsageError(f"--header {name}: is set by each request itself")
        confidential.keep([value])
        headers.append((name, value))
    return tuple(headers)


def identity_of(certificate: Path | None, key: Path | None) -> ClientCertificate | None:
    """The client certificate and its key; one file may hold both.

    Raises:
        UsageError: there is a key alone, or the two cannot be used.
    """
    if certificate is None:
        if key is not None:
            raise UsageError("--client-key goes with --client-cert")
        return None
    identity = ClientCertificate(certificate, key or certificate)
    if wrong := misfit(identity):
        raise UsageError(f"--client-key: {wrong}")
    if why := unusable(identity):
        raise UsageError(f"--client-cert {certificate}: cannot be used: {why}")
    return identity


def resolver_of(server: str | None, *, proxy: str | None) -> str | None:
    """The name server to ask.

    Raises:
        UsageError: it is not an address, or there is a proxy, which resolves names itself.
    """
    if server is None:
        return None
    if proxy is not None:
        raise UsageError("--resolver and --proxy: names are resolved at the proxy, so leave one out")
    try:
        place_of(server)
    except ValueError as error:
        raise UsageError(f"--resolver: {error} (write IP or IP:PORT)") from error
    return server


def _lines(path: str) -> list[str]:
    try:
        return [line for line in Path(path).read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--header @{path}: cannot be read: {error}") from error
