"""A job that sslyze does not have: the extended master secret really asked for at TLS 1.2.

Its own command calls it supported whenever TLS 1.3 is, without looking (policies/sslyze-6.3.1-coverage, pitfall 1).
"""

from __future__ import annotations

from nassl.ssl_client import ExtendedMasterSecretSupportEnum, SslClient
from sslyze.errors import ServerRejectedTlsHandshake
from sslyze.plugins.plugin_base import ScanJob
from sslyze.server_connectivity import ServerConnectivityInfo, TlsVersionEnum


class OnlyTls13Error(Exception):
    """The server negotiates nothing older than TLS 1.3, so the question has no answer."""


def extended_master_secret_job(server: ServerConnectivityInfo) -> ScanJob:
    """One handshake at the newest version before TLS 1.3; its value is a bool."""
    return ScanJob(function_to_call=_extended_master_secret, function_arguments=[server])


def _extended_master_secret(server: ServerConnectivityInfo) -> bool:
    newest = server.tls_probing_result.highest_tls_version_supported
    version = TlsVersionEnum.TLS_1_2 if newest is TlsVersionEnum.TLS_1_3 else newest
    connection = server.get_preconfigured_tls_connection(override_tls_version=version, should_use_legacy_openssl=False)
    client = connection.ssl_client
    assert isinstance(client, SslClient)  # noqa: S101  # the modern client was asked for
    try:
        connection.connect()
        support = client.get_extended_master_secret_support()
    except ServerRejectedTlsHandshake as error:
        if newest is TlsVersionEnum.TLS_1_3:
            raise OnlyTls13Error from error
        raise
    finally:
        connection.close()
    if support is ExtendedMasterSecretSupportEnum.UNKNOWN:
        raise ValueError("the handshake did not show it")
    return support is ExtendedMasterSecretSupportEnum.USED_IN_CURRENT_SESSION
