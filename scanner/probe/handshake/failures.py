"""What sslyze raises, as reasons."""

from __future__ import annotations

import re
import socket
from typing import Final

from nassl._nassl import OpenSSLError
from nassl.ssl_client import ClientCertificateRequested
from sslyze.errors import (
    ConnectionToServerTimedOut,
    ServerRejectedConnection,
    ServerRejectedOpportunisticTlsNegotiation,
    ServerRejectedTlsHandshake,
    ServerTlsConfigurationNotSupported,
    TlsHandshakeTimedOut,
)

from scanner.evidence import Failure, FailureReason

_REASONS: tuple[tuple[type[BaseException], FailureReason], ...] = (
    (ServerRejectedOpportunisticTlsNegotiation, FailureReason.UNAVAILABLE),
    (TlsHandshakeTimedOut, FailureReason.TIMED_OUT),
    (ConnectionToServerTimedOut, FailureReason.TIMED_OUT),
    (ServerRejectedConnection, FailureReason.REFUSED),
    (ServerRejectedTlsHandshake, FailureReason.HANDSHAKE_FAILED),
    (ServerTlsConfigurationNotSupported, FailureReason.HANDSHAKE_FAILED),
    (ClientCertificateRequested, FailureReason.CLIENT_CERTIFICATE_REQUIRED),
    (ConnectionResetError, FailureReason.RESET),
    (BrokenPipeError, FailureReason.RESET),
    (socket.timeout, FailureReason.TIMED_OUT),
    (OpenSSLError, FailureReason.HANDSHAKE_FAILED),
    (OSError, FailureReason.RESET),
)
_TLS_REFUSED = ("SMTP STARTTLS rejected", "Server does not support STARTTLS with SMTP", "XMPP STARTTLS not supported")
"""Where sslyze says that TLS itself was refused; else it does not tell a refusal from a server that has no time now."""

_OPENSSL: Final = re.compile(r"error:[0-9A-F]{8}:[^:]*:(?P<where>[^:]*):(?P<what>[^:'\"\\]+)")
"""How OpenSSL writes an error, wherever in a text it stands: where it was met, and what it was."""


def failure_of(error: BaseException) -> Failure:
    """The reason for an exception of sslyze, nassl or a socket; an unknown kind is the engine's own error."""
    if isinstance(error, ServerRejectedOpportunisticTlsNegotiation) and error.error_message.startswith(_TLS_REFUSED):
        return Failure.of(FailureReason.STARTTLS_REFUSED, _detail_of(error))
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return Failure.of(reason, _detail_of(error))
    if (library := _OPENSSL.search(_detail_of(error))) is not None:
        # What sslyze met unexpectedly was OpenSSL, at a message that it could not read.
        return Failure.of(FailureReason.HANDSHAKE_FAILED, f"{library['what'].strip()} ({library['where']})")
    return Failure.of(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {_detail_of(error)}")


def _detail_of(error: BaseException) -> str:
    detail = getattr(error, "error_message", None) or (error.args[0] if error.args else "")
    if isinstance(error, ClientCertificateRequested):
        # Its argument is the list of the authorities that the server named, often an empty one.
        return f"issued by one of: {', '.join(map(str, detail))}" if detail else ""
    return str(detail)
