"""The TLS client of the HTTP probe: it accepts whatever a server has, because certificates are judged elsewhere."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scanner.inventory import ClientCertificate

_LEGACY_SERVER_CONNECT: Final = 0x4  # ssl.OP_LEGACY_SERVER_CONNECT, which Python names from 3.12 on
_HANDSHAKE: Final = 22
_CERTIFICATE_REQUEST: Final = 13


def tolerant_context(identity: ClientCertificate | None, on_certificate_request: Callable[[], None]) -> ssl.SSLContext:
    """A client context that speaks TLS 1.0 to 1.3 with any cipher suite and any certificate.

    So enforcement can be seen at servers whose TLS is bad, too. Make one for each connection: the callback tells that
    the server of this one has asked for a client certificate.

    Raises:
        OSError: the identity's files cannot be read, or are no certificate and key (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER_CONNECT
    context.post_handshake_auth = True  # servers that want a certificate for some paths alone ask for it late
    if identity is not None:
        context.load_cert_chain(identity.cert, identity.key)

    def watch(*message: Any) -> None:
        _connection, direction, _version, content, kind, _data = message
        if direction == "read" and content == _HANDSHAKE and kind == _CERTIFICATE_REQUEST:
            on_certificate_request()

    # Python has no public hook for a CertificateRequest, and the alert alone does not tell why it was sent.
    context._msg_callback = watch  # type: ignore[attr-defined]  # noqa: SLF001  # see above
    return context


@contextlib.contextmanager
def stranger() -> Iterator[ClientCertificate]:
    """A client certificate that nobody has issued: self-signed, with a new key, gone when the context ends."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nightseal probe, not to be trusted")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory(prefix="nightseal-") as folder:
        identity = ClientCertificate(Path(folder, "client.pem"), Path(folder, "client.key"))
        identity.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        identity.key.touch(mode=0o600)
        identity.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        yield identity


def unusable(identity: ClientCertificate) -> str | None:
    """Why a client certificate cannot be used, None where it can."""
    try:
        tolerant_context(identity, lambda: None)
    except OSError as error:
        return error.strerror or str(error)
    return None
