"""What the lab's authority publishes over plain HTTP: lists of revoked certificates, OCSP responses, certificates.

All of it lies there ready-made, by its path. A responder's answer does not depend on how it is asked: each certificate
names a path of its own.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from msgspec import Struct

from scanner.lab.connection import Connection, linger

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from scanner.lab.certificates import Identity

PKI_HOST: Final = "pki.lab.example"
"""The host that the URLs in certificates name, on port 80."""

ListKind = Literal["list-good", "list-revoked", "list-stale", "list-of-part"]
ResponderKind = Literal["good", "revoked", "unknown", "try-later", "stale", "delegated", "not-delegated"]
RevocationKind = ListKind | ResponderKind

_REQUEST: Final = re.compile(rb"(GET|HEAD|POST) /([^/ ]{1,200})[^ ]* HTTP/1\.[01]\r?\n")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_HEAD_LIMIT: Final = 65_536


def is_list(kind: RevocationKind) -> bool:
    """Whether it is published as a list, and not by a responder."""
    return kind.startswith("list-")


def url_of(path: str) -> str:
    """The URL of something published."""
    return f"http://{PKI_HOST}/{path}"


class Publisher(Struct, frozen=True):
    """Makes what is published at a moment, `now`."""

    now: datetime

    def revocation_list(self, kind: ListKind, serial: int, issuer: Identity, path: str) -> bytes:
        """A list of a week by an issuer, which holds a certificate or does not."""
        stale = kind == "list-stale"
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.chain[0].subject)
            .last_update(self.now - timedelta(days=20 if stale else 1))
            .next_update(self.now + timedelta(days=-2 if stale else 6))
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        if kind == "list-of-part":
            part = x509.IssuingDistributionPoint(
                [x509.UniformResourceIdentifier(url_of(path))],
                relative_name=None,
                only_contains_user_certs=True,
                only_contains_ca_certs=False,
                only_some_reasons=None,
                indirect_crl=False,
                only_contains_attribute_certs=False,
            )
            builder = builder.add_extension(part, critical=True)
        others = range(1, 50)  # a list is rarely about one certificate
        for number in (*others, *((serial,) if kind == "list-revoked" else ())):
            entry = x509.RevokedCertificateBuilder().serial_number(number)
            entry = entry.revocation_date(self.now - timedelta(days=2))
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def response(
        self, kind: ResponderKind, leaf: x509.Certificate, issuer: Identity, delegate: Identity | None
    ) -> bytes:
        """An OCSP response of a week, signed by the issuer, or by a delegate whose certificate goes with it."""
        if kind == "try-later":
            later = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
            return later.public_bytes(Encoding.DER)
        statuses = {"revoked": ocsp.OCSPCertStatus.REVOKED, "unknown": ocsp.OCSPCertStatus.UNKNOWN}
        revoked, stale = kind == "revoked", kind == "stale"
        signer = delegate or issuer
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=issuer.chain[0],
                algorithm=hashes.SHA1(),  # noqa: S303  # RFC 6960 names issuers by it; nothing rests on it
                cert_status=statuses.get(kind, ocsp.OCSPCertStatus.GOOD),
                this_update=self.now - (timedelta(days=9) if stale else timedelta(hours=1)),
                next_update=self.now + timedelta(days=-2 if stale else 7),
                revocation_time=self.now - timedelta(hours=2) if revoked else None,
                revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.chain[0])
        )
        if delegate is not None:
            builder = builder.certificates([delegate.chain[0]])
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


class PublicationServer(Struct, frozen=True):
    """Answers with what is published under the first part of a path, whatever follows it and whatever is sent."""

    published: Mapping[str, bytes]

    def handle(self, plain: socket.socket) -> None:
        """Answer one request."""
        head = Connection(plain).read_until(_HEAD_END, _HEAD_LIMIT)
        request = _REQUEST.match(head or b"")
        body = self.published.get(request[2].decode("latin-1")) if request else None
        status = b"404 Not Found" if body is None else b"200 OK"
        length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body or b"")
        plain.sendall(b"HTTP/1.1 " + status + b"\r\n" + length + (body or b""))
        linger(plain)
