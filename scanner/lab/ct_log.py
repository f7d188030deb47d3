"""The lab's own Certificate Transparency logs: what they sign, and the list by which that is verified (RFC 6962)."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from asn1crypto.core import OctetString, ParsableOctetString  # type: ignore[import-untyped]  # the library is not typed
from asn1crypto.ocsp import OCSPResponse  # type: ignore[import-untyped]  # the library is not typed
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

_CERTIFICATE: Final = 0
_PRECERTIFICATE: Final = 1
_IN_STAPLE: Final = "1.3.6.1.4.1.11129.2.4.5"
_SHA256_ECDSA: Final = b"\x04\x03"


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class CtLog:
    """One log and who runs it. `state` is what the list says of it, in the spelling of Chrome's list."""

    operator: str
    name: str
    state: str = "usable"
    since: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)

    @property
    def spki(self) -> bytes:
        """Its public key, DER."""
        return _spki(self.key.public_key())

    def sct(self, body: bytes, issuer: x509.Certificate, when: datetime, *, forged: bool = False) -> bytes:
        """An SCT for a certificate whose body without SCTs is `body`; `forged` signs something else."""
        entry = hashlib.sha256(_spki(issuer.public_key())).digest() + len(body).to_bytes(3, "big") + body
        return self._sct(struct.pack(">H", _PRECERTIFICATE) + entry, when, forged=forged)

    def sct_beside(self, certificate: x509.Certificate, when: datetime, *, forged: bool = False) -> bytes:
        """An SCT for a certificate as it is, which comes along in the handshake; `forged` signs something else."""
        der = certificate.public_bytes(Encoding.DER)
        return self._sct(struct.pack(">H", _CERTIFICATE) + len(der).to_bytes(3, "big") + der, when, forged=forged)

    def _sct(self, entry: bytes, when: datetime, *, forged: bool) -> bytes:
        head = struct.pack(">Q", int(when.timestamp() * 1000))
        signed = b"\x00\x00" + head + entry + b"\x00\x00"
        signature = self.key.sign(signed + (b"!" if forged else b""), ec.ECDSA(hashes.SHA256()))
        return (
            b"\x00" + hashlib.sha256(self.spki).digest() + head + b"\x00\x00" + _SHA256_ECDSA
            + struct.pack(">H", len(signature)) + signature
        )  # fmt: skip


def extension(scts: list[bytes]) -> x509.UnrecognizedExtension:
    """The extension with a list of SCTs (RFC 6962 section 3.3)."""
    value = OctetString(sct_list(scts)).dump()
    return x509.UnrecognizedExtension(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, value)


def sct_list(scts: list[bytes]) -> bytes:
    """A list of SCTs, as the extension of the handshake holds it."""
    listed = b"".join(struct.pack(">H", len(one)) + one for one in scts)
    return struct.pack(">H", len(listed)) + listed


def with_scts(response: bytes, scts: list[bytes], key: ec.EllipticCurvePrivateKey) -> bytes:
    """An OCSP response, DER, that brings SCTs as well; signed anew with SHA-256 by `key`, as it was before."""
    whole = OCSPResponse.load(response)
    basic = whole["response_bytes"]["response"].parsed
    extension = {"extn_id": _IN_STAPLE, "critical": False, "extn_value": OctetString(sct_list(scts))}
    basic["tbs_response_data"]["responses"][0]["single_extensions"] = [extension]
    basic["signature"] = key.sign(basic["tbs_response_data"].dump(force=True), ec.ECDSA(hashes.SHA256()))
    kind = whole["response_bytes"]["response_type"].native
    made: bytes = OCSPResponse(
        {
            "response_status": "successful",
            "response_bytes": {"response_type": kind, "response": ParsableOctetString(basic.dump(force=True))},
        }
    ).dump()
    return made


def log_list(logs: list[CtLog], date: datetime) -> bytes:
    """The list of these logs, in the form of Chrome's log_list.json."""

    def moment(value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    operators = {log.operator: [other for other in logs if other.operator == log.operator] for log in logs}
    document = {
        "version": "1.0",
        "log_list_timestamp": moment(date),
        "operators": [
            {
                "name": operator,
                "logs": [
                    {
                        "description": log.name,
                        "log_id": base64.b64encode(hashlib.sha256(log.spki).digest()).decode(),
                        "key": base64.b64encode(log.spki).decode(),
                        "state": {log.state: {"timestamp": moment(log.since)}},
                    }
                    for log in run
                ],
            }
            for operator, run in operators.items()
        ],
    }
    return json.dumps(document).encode()
