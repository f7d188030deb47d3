"""Why no answer came: the exceptions of four libraries, sorted into the reasons of the evidence."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import h2.errors
import h2.exceptions
import httpcore

from scanner.evidence import Failure, FailureReason

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
_NO_ALERT: Final = (ssl.SSLEOFError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What OpenSSL raises where it only lacks data, for now or for good."""
_HEADERS_TOO_LARGE: Final = "the headers are too large"
_DEEPEST: Final = 16


class TooMuchError(Exception):
    """A server sent more bytes than an answer may have."""


class OneConnectionError(Exception):
    """A server took a connection and then asked for another one for the same request."""


_KNOWN: Final[tuple[tuple[tuple[type[BaseException], ...], FailureReason, str], ...]] = (
    ((TooMuchError, h2.exceptions.DenialOfServiceError), FailureReason.TOO_LARGE, _HEADERS_TOO_LARGE),
    ((OneConnectionError,), FailureReason.RESET, "the server turned the request away"),
    ((httpcore.TimeoutException, TimeoutError), FailureReason.TIMED_OUT, "no answer in time"),
    ((socket.gaierror,), FailureReason.UNRESOLVABLE, "the name does not resolve"),
    ((httpcore.ProxyError,), FailureReason.UNREACHABLE, "the proxy does not connect"),
)
"""Exceptions that say by their type what happened."""


def failure_of(error: BaseException, *, certificate_asked: bool = False) -> Failure:
    """Say why no answer came. `certificate_asked`: the server had asked for a client certificate before."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _NO_ALERT):
            return _tls(cause, certificate_asked=certificate_asked)
    for cause in causes:
        for kinds, reason, words in _KNOWN:
            if isinstance(cause, kinds):
                return Failure.of(reason, words)
        if isinstance(cause, OSError) and cause.errno in _BY_ERRNO:
            return Failure.of(_BY_ERRNO[cause.errno], os.strerror(cause.errno))
    if any(isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) for cause in causes):
        return Failure.of(FailureReason.UNREACHABLE, _deepest(causes))
    if isinstance(error, httpcore.NetworkError) or any(isinstance(cause, ssl.SSLEOFError) for cause in causes):
        asked = " after it asked for a client certificate" if certificate_asked else ""
        return Failure.of(FailureReason.RESET, f"the server closed the connection{asked}")
    return _protocol(error)


def _deepest(causes: list[object]) -> str:
    """The words of the operating system, which stand under those of the libraries."""
    errors = [cause for cause in causes if isinstance(cause, OSError)]
    return errors[-1].strerror or str(errors[-1])


def wants_http11(error: BaseException) -> bool:
    """Whether a server refused a request over HTTP/2 and takes it over HTTP/1.1 (RFC 9113 section 7)."""
    return any(getattr(cause, "error_code", None) == h2.errors.ErrorCodes.HTTP_1_1_REQUIRED for cause in _causes(error))


def _causes(error: object) -> Iterator[object]:
    """An exception and whatever it was raised from or wraps, events of h2 included."""
    waiting, seen = [error], 0
    while waiting and seen < _DEEPEST:
        current = waiting.pop(0)
        seen += 1
        yield current
        if isinstance(current, BaseExceptionGroup):
            waiting.extend(current.exceptions)
        if isinstance(current, BaseException):
            waiting.extend(item for item in (current.__cause__ or current.__context__,) if item is not None)
            waiting.extend(item for item in current.args if not isinstance(item, str | bytes | int))


def _tls(error: ssl.SSLError, *, certificate_asked: bool) -> Failure:
    reason = error.reason or ""
    words = reason.lower().replace("_", " ") or str(error)
    if reason in _NOT_TLS:
        return Failure.of(FailureReason.NOT_TLS, "the port does not answer in TLS")
    if reason in _CERTIFICATE_REFUSED or (certificate_asked and reason in _ONCE_ASKED):
        return Failure.of(FailureReason.CLIENT_CERTIFICATE_REQUIRED, words)
    return Failure.of(FailureReason.HANDSHAKE_FAILED, words)


def _protocol(error: BaseException) -> Failure:
    text = str(error)
    if "Receive buffer too long" in text:  # h11 has no type of its own for it
        return Failure.of(FailureReason.TOO_LARGE, _HEADERS_TOO_LARGE)
    if "Server disconnected" in text:
        return Failure.of(FailureReason.RESET, "the server closed the connection without an answer")
    if "illegal request line" in text:  # h11's word for an answer that cannot become a status line
        return Failure.of(FailureReason.MALFORMED, "the answer is no HTTP")
    if isinstance(error, httpcore.ProtocolError | h2.exceptions.H2Error | ValueError):
        return Failure.of(FailureReason.MALFORMED, text or type(error).__name__)
    return Failure.of(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {text}")
