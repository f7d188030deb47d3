"""Why no answer came: the exceptions of sockets and of TLS, sorted into the reasons of the evidence."""

from __future__ import annotations

import errno
import logging
import os
import ssl
from typing import Final

from scanner.evidence import Failure, FailureReason
from scanner.probe.http.connection import ClosedInHandshakeError

_LOG = logging.getLogger(__name__)

_NOT_TLS: Final = frozenset(
    {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "BAD_RECORD_TYPE",
        "RECORD_LAYER_FAILURE",
    }
)
"""What OpenSSL calls an answer that is no TLS record."""

_CERTIFICATE_REFUSED: Final = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""Alerts that a server sends about a client's certificate, and about nothing else (RFC 8446 section 6.2)."""

_ONCE_ASKED: Final = frozenset(
    {"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_ACCESS_DENIED", "TLSV1_ALERT_DECRYPT_ERROR"}
)
"""Alerts of many meanings, which are about the certificate where one has been asked for."""

_BY_ERRNO: Final = {
    errno.ECONNREFUSED: FailureReason.REFUSED,
    errno.ECONNRESET: FailureReason.RESET,
    errno.ECONNABORTED: FailureReason.RESET,
    errno.EPIPE: FailureReason.RESET,
    errno.ETIMEDOUT: FailureReason.TIMED_OUT,
}


def failure_of(error: Exception, *, certificate_requested: bool = False) -> Failure:
    """Say why no answer came. `certificate_requested`: the server had asked for a client certificate before."""
    if isinstance(error, ssl.SSLEOFError | ClosedInHandshakeError):
        asked = " after it asked for a client certificate" if certificate_requested else ""
        return Failure.of(FailureReason.RESET, f"the server closed the connection{asked}")
    if isinstance(error, ssl.SSLError):
        return _tls(error, certificate_requested=certificate_requested)
    if isinstance(error, TimeoutError) and error.errno is None:
        return Failure.of(FailureReason.TIMED_OUT, "no answer in time")
    if isinstance(error, OSError):
        code = errno.ECONNRESET if error.errno is None and isinstance(error, ConnectionError) else error.errno
        reason = _BY_ERRNO.get(code or 0, FailureReason.UNREACHABLE)
        return Failure.of(reason, os.strerror(code) if code else "the connection failed")
    _LOG.warning("an exchange failed", exc_info=error)
    return Failure.of(FailureReason.ENGINE_ERROR, "the HTTP client failed; the log says how")


def _tls(error: ssl.SSLError, *, certificate_requested: bool) -> Failure:
    reason = error.reason or ""
    words = reason.lower().replace("_", " ") or "TLS failed"
    if reason in _NOT_TLS:
        return Failure.of(FailureReason.NOT_TLS, "the port does not answer in TLS")
    if reason in _CERTIFICATE_REFUSED or (certificate_requested and reason in _ONCE_ASKED):
        return Failure.of(FailureReason.CLIENT_CERTIFICATE_REQUIRED, words)
    return Failure.of(FailureReason.HANDSHAKE_FAILED, words)
