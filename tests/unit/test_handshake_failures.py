"""What the engine raises becomes a reason and words that people can read."""

from __future__ import annotations

import pytest
from nassl._nassl import OpenSSLError
from nassl.ssl_client import ClientCertificateRequested
from sslyze.errors import ConnectionToServerFailed

from scanner.evidence import Failure, FailureReason
from scanner.probe.handshake.failures import failure_of


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ClientCertificateRequested([]), Failure(FailureReason.CLIENT_CERTIFICATE_REQUIRED)),
        (
            ClientCertificateRequested(["/CN=Staff CA", "/CN=\x1b[31mPartner CA"]),
            Failure(
                FailureReason.CLIENT_CERTIFICATE_REQUIRED, "issued by one of: /CN=Staff CA, /CN=\\x1b[31mPartner CA"
            ),
        ),
        (OpenSSLError("tlsv1 alert"), Failure(FailureReason.HANDSHAKE_FAILED, "tlsv1 alert")),
        (ConnectionResetError(), Failure(FailureReason.RESET)),
        (
            ConnectionToServerFailed(
                None,
                None,
                "Unexpected connection error: \"('error:1416F09F:SSL routines:tls_process:length mismatch',)\"",
            ),
            Failure(FailureReason.HANDSHAKE_FAILED, "length mismatch (tls_process)"),
        ),
        (ZeroDivisionError("x"), Failure(FailureReason.ENGINE_ERROR, "ZeroDivisionError: x")),
    ],
)
def test_reason_and_words(error: BaseException, failure: Failure) -> None:
    assert failure_of(error) == failure
