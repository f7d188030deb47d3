"""What is left to be seen by a handshake once the survey has spoken to the server: one connection told most of it.

sslyze finds out by a handshake of its own what a server speaks, throws that away, and makes another for each question.
Where the survey knows the version already, that first handshake is kept: it shows the certificate chain and whether a
client certificate is asked for, and goes on to ask for early data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from msgspec import Struct
from sslyze.connection_helpers.tls_connection import SslConnection
from sslyze.plugins.plugin_base import ScanCommandExtraArgument, ScanJob
from sslyze.plugins.scan_commands import ScanCommand, ScanCommandsRepository
from sslyze.server_connectivity import (
    ClientAuthRequirementEnum,
    ServerConnectivityInfo,
    ServerTlsProbingResult,
    TlsVersionEnum,
)
from sslyze.server_setting import ServerNetworkConfiguration, ServerNetworkLocation

from scanner.evidence import Protocol
from scanner.probe.handshake.connections import MeteredConnection
from scanner.probe.handshake.resumed import ResumedConnection

VERSIONS: Mapping[Protocol, TlsVersionEnum] = dict(zip(Protocol, TlsVersionEnum, strict=True))
_KEPT = {Protocol.TLS1_2, Protocol.TLS1_3}
"""Versions of which the first handshake is kept; what speaks none of them is left to sslyze's own search."""
RENEGOTIATIONS: Final = 11
"""How often in a row one is asked for: NCSC-NL calls up to 10 "limited"; the eleventh shows more."""
LOOKS_LIKE_AN_ATTACK = frozenset(
    command.value
    for command in (
        ScanCommand.SESSION_RENEGOTIATION,
        ScanCommand.SESSION_RESUMPTION,
        ScanCommand.HEARTBLEED,
        ScanCommand.OPENSSL_CCS_INJECTION,
        ScanCommand.ROBOT,
    )
)
"""Names of the commands that are left out where nothing intrusive may be done."""


class FirstLook(Struct, frozen=True):
    """A handshake that was made: what it showed of the server, and its connection, still open."""

    probing: ServerTlsProbingResult
    connection: SslConnection
    chain: tuple[list[str], Any, None, bool]
    """PEM certificates, nassl's OCSP response or None, and two values that sslyze's jobs give as well."""
    session: Any = None
    """nassl's session, to be resumed by its id; None where that is none of the version's."""


def first_look(
    location: ServerNetworkLocation, network: ServerNetworkConfiguration, newest: Protocol
) -> FirstLook | None:
    """Make one handshake at the version that the survey negotiated. None where sslyze should look by itself.

    That is where the handshake fails for any reason, a client certificate that is asked for included.
    """
    if newest not in _KEPT or network.tls_client_auth_credentials is not None:
        return None
    connection = MeteredConnection(
        server_location=location,
        network_configuration=network,
        tls_version=VERSIONS[newest],
        should_ignore_client_auth=False,
    )
    client = connection.ssl_client
    try:
        if newest is not Protocol.TLS1_3:
            client.set_cipher_list("DEFAULT")
            client.disable_stateless_session_resumption()  # or a server gives the session a ticket, and no id
        client.set_tlsext_status_ocsp()
        connection.connect(should_retry_connection=False)
        suite = client.get_current_cipher_name()
        chain = (client.get_received_chain(), client.get_tlsext_status_ocsp_resp(), None, True)
        session = client.get_session() if newest is not Protocol.TLS1_3 else None
    except Exception:  # noqa: BLE001  # whatever it was, sslyze looks again, and tells what it was
        connection.close()
        return None
    probing = ServerTlsProbingResult(
        VERSIONS[newest],
        suite,
        ClientAuthRequirementEnum.DISABLED,
        # Only the curve command would want to know, which is not run beside the survey.
        supports_ecdh_key_exchange=True,
    )
    return FirstLook(probing, connection, chain, session)


def remaining_jobs(
    server: ServerConnectivityInfo,
    look: FirstLook,
    arguments: Mapping[ScanCommand, ScanCommandExtraArgument],
    *,
    named: bool,
) -> dict[str, list[ScanJob]]:
    """The jobs that tell what neither the survey nor the first look did, by command. The look's connection is not used.

    `named` is whether a server name was sent, so that there is a difference to a client that sends none. Up to TLS 1.2
    the survey has seen that.
    """

    def jobs(command: ScanCommand) -> list[ScanJob]:
        return jobs_of(server, command, arguments)

    works: dict[str, list[ScanJob]] = {}
    # The last of its jobs asks without a server name; of the others the survey has the chains up to TLS 1.2.
    seen = ScanJob(function_to_call=lambda: look.chain, function_arguments=[])
    nameless = named and look.probing.highest_tls_version_supported is TlsVersionEnum.TLS_1_3
    works[ScanCommand.CERTIFICATE_INFO.value] = [seen, *(jobs(ScanCommand.CERTIFICATE_INFO)[-1:] if nameless else [])]
    # Of each of these the survey has seen one half on the wire: secure renegotiation, and session tickets.
    renegotiation, resumption = jobs(ScanCommand.SESSION_RENEGOTIATION)[-1], jobs(ScanCommand.SESSION_RESUMPTION)[0]
    if look.session is not None:
        connection = ResumedConnection(server, look.session, renegotiation, RENEGOTIATIONS)
        renegotiation, resumption = ScanJob(connection.renegotiation, []), ScanJob(connection.resumption, [])
    works[ScanCommand.SESSION_RENEGOTIATION.value] = [renegotiation]
    works[ScanCommand.SESSION_RESUMPTION.value] = [resumption]
    return works


def jobs_of(
    server: ServerConnectivityInfo, command: ScanCommand, arguments: Mapping[ScanCommand, ScanCommandExtraArgument]
) -> list[ScanJob]:
    """The jobs that sslyze has for a command, without one of its guesses.

    Beside TLS 1.3 it takes any refusal of TLS 1.2 for the want of it, and for the refusal of renegotiation; but its
    older OpenSSL may have nothing that the server accepts. Here there is no answer without a handshake.
    """
    probing = server.tls_probing_result
    if command is ScanCommand.SESSION_RENEGOTIATION:
        newest = min(probing.highest_tls_version_supported, TlsVersionEnum.TLS_1_2, key=lambda version: version.value)
        server = replace(server, tls_probing_result=replace(probing, highest_tls_version_supported=newest))
    implementation = ScanCommandsRepository.get_implementation_cls(command)
    return implementation.scan_jobs_for_scan_command(server, arguments.get(command))
