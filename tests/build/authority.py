"""A certificate authority with everything that it publishes, on loopback: lists, responses, certificates."""

from __future__ import annotations

import base64
import http.server
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
START = datetime.now(UTC).replace(microsecond=0)
Reply = bytes | int | Callable[[Any, bytes], None] | None


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def der(item: Any) -> bytes:
    return item.public_bytes(serialization.Encoding.DER)


def pem(item: Any) -> bytes:
    return item.public_bytes(serialization.Encoding.PEM)


@dataclass
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any


def certificate(  # noqa: PLR0913  # what a certificate is made of, by keyword
    common: str,
    issuer: Signed | None = None,
    *,
    own_key: Any = None,
    ca: bool = False,
    days: tuple[float, float] = (-1, 89),
    dns: Sequence[str] = (),
    lists: Sequence[str] = (),
    responders: Sequence[str] = (),
    issuers: Sequence[str] = (),
    usages: Sequence[x509.ObjectIdentifier] = (),
    serial: int | None = None,
    crl_sign: bool = True,
    digest: Any = None,
    padding: Any = None,
    more: Sequence[tuple[Any, bool]] = (),
) -> Signed:
    """Issue a certificate; without an issuer it is self-signed."""
    own = own_key or key()
    signer = issuer.key if issuer else own
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common))
        .issuer_name(issuer.certificate.subject if issuer else name(common))
        .public_key(own.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(START + days[0] * DAY)
        .not_valid_after(START + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if ca:
        usage = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=crl_sign, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(usage, critical=True)
    if dns:
        names = x509.SubjectAlternativeName([x509.DNSName(item) for item in dns])
        builder = builder.add_extension(names, critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, urls in (
            (AuthorityInformationAccessOID.OCSP, responders),
            (AuthorityInformationAccessOID.CA_ISSUERS, issuers),
        )
        for url in urls
    ]
    if access:
        builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
    if lists:
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in lists]
        builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
    for value, critical in more:
        builder = builder.add_extension(value, critical=critical)
    keywords = {"rsa_padding": padding} if padding else {}
    return Signed(builder.sign(signer, digest or hashes.SHA256(), **keywords), own)


def revocation_list(  # noqa: PLR0913  # the same of a list
    issuer: Signed,
    *,
    revoked: Sequence[tuple[int, x509.ReasonFlags | None]] = (),
    since: datetime = START - DAY,
    until: datetime = START + 6 * DAY,
    signer: Any = None,
    issuer_name: x509.Name | None = None,
    more: Sequence[tuple[Any, bool]] = (),
    entry_more: Sequence[tuple[Any, bool]] = (),
    padding: Any = None,
) -> bytes:
    """A list of revoked certificates, DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_name or issuer.certificate.subject)
        .last_update(since)
        .next_update(until)
        .add_extension(x509.CRLNumber(7), critical=False)
    )
    for serial, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(START - 2 * DAY)
        if reason:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        for value, critical in entry_more:
            entry = entry.add_extension(value, critical=critical)
        builder = builder.add_revoked_certificate(entry.build())
    for value, critical in more:
        builder = builder.add_extension(value, critical=critical)
    keywords = {"rsa_padding": padding} if padding else {}
    return der(builder.sign(signer or issuer.key, hashes.SHA256(), **keywords))


def distribution(
    url: str | None = None, *, users: bool = False, cas: bool = False, indirect: bool = False, reasons: Any = None
) -> tuple[x509.IssuingDistributionPoint, bool]:
    """The extension that says of what a list is."""
    names = [x509.UniformResourceIdentifier(url)] if url else None
    return x509.IssuingDistributionPoint(names, None, users, cas, reasons, indirect, False), True  # noqa: FBT003  # the library's own order


def response(  # noqa: PLR0913  # the same of a response
    about: Signed,
    issuer: Signed,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    *,
    signer: Signed | None = None,
    with_signer: bool = True,
    since: datetime = START - DAY,
    until: datetime | None = START + 3 * DAY,
    digest: Any = None,
) -> bytes:
    """An OCSP response, DER, signed by the issuer or by a responder whose certificate goes with it."""
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    responder = signer or issuer
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about.certificate,
            issuer.certificate,
            digest or hashes.SHA1(),  # noqa: S303  # as responders name issuers
            status,
            since,
            until,
            START - 2 * DAY if revoked else None,
            x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
    )
    if signer and with_signer:
        builder = builder.certificates([signer.certificate])
    return der(builder.sign(responder.key, hashes.SHA256()))


def unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    """An OCSP response that is an error."""
    return der(ocsp.OCSPResponseBuilder.build_unsuccessful(status))


DELEGATE = (ExtendedKeyUsageOID.OCSP_SIGNING,)
NO_CHECK = ((x509.OCSPNoCheck(), False),)


@dataclass
class Site:
    """What is published where. `asked` has method and path of each request, `headers` what came with the last."""

    base: str
    answers: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:  # the standard library's name
        self._answer(b"")

    def do_POST(self) -> None:  # the same
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        first, _, rest = self.path.lstrip("/").partition("/")
        self.site.asked.append((self.command, first))
        self.site.headers = dict(self.headers)
        reply = self.site.answers.get(first)
        if callable(reply):
            reply(self, body or (base64.b64decode(unquote(rest)) if rest else b""))
            self.close_connection = True
            return
        etag = self.site.etags.get(first)
        if etag and self.headers.get("If-None-Match") == etag:
            reply = 304
        if reply is None or isinstance(reply, int):
            self.send_response(reply or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        if etag:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(reply)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


@contextmanager
def published() -> Iterator[Site]:
    """A web server on loopback; what it answers is put into `answers` by the first part of the path."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    site = Site(f"http://127.0.0.1:{server.server_address[1]}")
    handler.site = site  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
