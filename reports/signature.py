"""Signs a PDF by PAdES (ETSI EN 319 142-1, level B-B, B-T with a time stamp, or B-LT), in a revision of its own.

The report's own bytes stay as they are. The signature has no look of its own: its field lies outside the page, which
PDF/A and PDF/UA both allow. Its reason names the run and the SHA-256 of the data that the PDF carries, so that both are
under the signature in plain words.
The time in it is that of the signer's own clock. Where an authority for time stamps (RFC 3161) is configured, its stamp
is added: then a third party says that the signature was there at that time.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from msgspec import Struct
from pyhanko.sign.fields import InvisSigSettings, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
from pyhanko.sign.timestamps import HTTPTimeStamper, TimestampRequestError

from reports.long_term import Revision, load_roots, with_revocation_data
from scanner.errors import OutputError, UsageError
from scanner.untrusted import printable

if TYPE_CHECKING:
    from cryptography import x509

REASON: Final = re.compile(r"HTTPS compliance, run (?P<run>\S+)\. Data SHA-256 (?P<digest>[0-9a-f]{64})\.")
"""What `reason_for` writes."""


_TSA_SECONDS: Final = 10
"""How long an authority for time stamps may take."""


class PassphraseError(UsageError):
    """The file of the key is locked by another passphrase, or by one where none was given."""


class SigningKey(Struct, frozen=True):
    """A private key with its certificate, ready to sign, and the name of its holder."""

    signer: SimpleSigner
    name: str

    def sign(
        self,
        pdf: bytes,
        *,
        run_id: str,
        data_digest: str,
        tsa: str | None = None,
        roots: bytes = b"",
    ) -> bytes:
        """Sign the PDF of a run.

        Args:
            pdf: the file's bytes.
            run_id: the run.
            data_digest: the SHA-256 of the data that it carries, in hexadecimal.
            tsa: the address of an authority for time stamps; no stamp without one.
            roots: the authorities of the signer and of the stamp, PEM; with a stamp, revocation data are
                embedded (B-LT).

        Raises:
            OutputError: the authority gave no stamp, or there are no revocation data.
        """
        signed = sign_pdf(pdf, self, reason=reason_for(run_id, data_digest), tsa=tsa)
        return with_revocation_data(signed, load_roots(roots, source="signature_roots")) if tsa and roots else signed


def load_key(data: bytes, passphrase: str | None, *, source: str, now: datetime | None = None) -> SigningKey:
    """Read a PKCS #12 file (.p12, .pfx).

    Args:
        data: the file's bytes.
        passphrase: what unlocks it; None where it is not locked.
        source: what messages call the file.
        now: when its certificate must be valid; this moment by default.

    Raises:
        PassphraseError: the passphrase is not this file's.
        UsageError: it is no such file, has no key or no certificate, or its certificate is not valid now.
    """
    secret = passphrase.encode() if passphrase else None
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(data, secret)
    except ValueError as error:
        if "password" in str(error).lower():
            raise PassphraseError(f"{source} cannot be unlocked with this passphrase") from error
        raise UsageError(f"{source} is not a PKCS #12 file (.p12, .pfx)") from error
    if key is None or certificate is None:
        raise UsageError(f"{source} holds no private key with its certificate")
    moment = now or datetime.now(UTC)
    if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
        span = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise UsageError(f"the certificate in {source} is not valid now, but from {span}")
    try:
        signer = SimpleSigner.load_pkcs12_data(data, other_certs=(), passphrase=secret)
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"the key in {source} is of a kind that cannot sign: {error}") from error
    return SigningKey(signer, _holder(certificate))


def reason_for(run_id: str, data_digest: str) -> str:
    """The reason that a signature names: which run, and which data (SHA-256, hexadecimal)."""
    return f"HTTPS compliance, run {run_id}. Data SHA-256 {data_digest}."


def sign_pdf(pdf: bytes, key: SigningKey, *, reason: str, tsa: str | None = None) -> bytes:
    """Sign a PDF; the result begins with the bytes of `pdf`.

    Raises:
        OutputError: the authority for time stamps gave none.
    """
    metadata = PdfSignatureMetadata(
        field_name="Signature",
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        reason=reason,
        name=key.name,
    )
    field = SigFieldSpec(
        sig_field_name="Signature",
        readable_field_name="Signature of the report",
        invis_sig_settings=InvisSigSettings(set_print_flag=True, set_hidden_flag=False, box_out_of_bounds=True),
    )
    out = io.BytesIO()
    stamper = HTTPTimeStamper(tsa, timeout=_TSA_SECONDS) if tsa else None  # type: ignore[no-untyped-call]  # the library is typed in part
    signer = PdfSigner(metadata, signer=key.signer, timestamper=stamper, new_field_spec=field)
    try:
        signer.sign_pdf(Revision(io.BytesIO(pdf)), output=out)
    except (TimestampRequestError, OSError, ValueError) as error:
        if tsa is None:
            raise
        raise OutputError(f"{urlsplit(tsa).hostname} gave no time stamp: {printable(str(error), 200)}") from error
    return out.getvalue()


def _holder(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return printable(names[0].value if names else certificate.subject.rfc4514_string())
