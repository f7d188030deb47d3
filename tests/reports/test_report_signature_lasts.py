"""Signatures that last (PAdES B-LT): revocation data of signer and time stamp inside, checked with nothing else."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pikepdf
import pytest
import weasyprint
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID
from page import ValidationProfile, validate_pdf_bytes
from pyhanko.pdf_utils.generic import StreamObject

from reports.conformance import finish
from reports.export.json.v1 import to_json
from reports.identifier import identifier_of
from reports.long_term import Revision
from reports.paper import PDF_VARIANT
from reports.signature import load_key
from reports.verification import load_roots, verify_pdf
from scanner.errors import OutputError
from tests.build.authority import Signed, certificate, pem, published, revocation_list
from tests.build.judged import judged_record
from tests.build.servers import program
from tests.build.time_stamps import authority

RECORD = judged_record(1).record
DATA = to_json(RECORD).encode()
SIGNING = x509.KeyUsage(
    digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


@dataclass
class World:
    """An authority that signs people and clocks, and publishes its list, with a signer and a time stamp authority."""

    roots: bytes
    p12: bytes
    tsa: str
    answers: dict
    ca: Signed
    signer: Signed


def key_pem(signed: Signed) -> bytes:
    key: bytes = signed.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key


@contextmanager
def world(folder: Path) -> Iterator[World]:
    with published() as site:
        ca = certificate("CA of the tests", ca=True, days=(-30, 3000))
        where = [f"{site.base}/ca.crl"]
        site.answers["ca.crl"] = revocation_list(ca)
        signer = certificate("Jane", ca, lists=where, days=(-1, 3), more=[(SIGNING, True)])
        stamps = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        clock = certificate("Clock", ca, lists=where, days=(-1, 300), more=[(SIGNING, True), (stamps, True)])
        p12 = pkcs12.serialize_key_and_certificates(
            b"Jane", signer.key, signer.certificate, [ca.certificate], NoEncryption()
        )
        with authority(folder, identity=(pem(clock.certificate), key_pem(clock))) as tsa:
            yield World(pem(ca.certificate), p12, tsa, site.answers, ca, signer)


def paper() -> bytes:
    attached = weasyprint.Attachment(file_obj=io.BytesIO(DATA), name="run.json", relationship="Data")
    made: bytes = weasyprint.HTML(string="<html lang=en><title>Report</title><p>Not compliant").write_pdf(
        pdf_variant=PDF_VARIANT,
        pdf_tags=True,
        attachments=[attached],
        pdf_identifier=identifier_of(RECORD.run.id),
        finisher=finish,
    )
    return made


def signed(here: World) -> bytes:
    key = load_key(here.p12, None, source="key.p12")
    digest = hashlib.sha256(DATA).hexdigest()
    return key.sign(paper(), run_id=RECORD.run.id, data_digest=digest, tsa=here.tsa, roots=here.roots)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The signed PDF, and the roots; its authorities are gone when the tests see it."""
    with world(tmp_path_factory.mktemp("tsa")) as here:
        return signed(here), here.roots


def test_the_file_alone_shows_that_nobody_was_revoked(made: tuple[bytes, bytes]) -> None:
    pdf, roots = made
    found = verify_pdf(pdf, roots=load_roots(roots, source="roots.pem"))

    (signature,) = found.signatures
    assert signature.problems == ()
    assert signature.long_term
    assert found.valid
    opened = pikepdf.open(io.BytesIO(pdf))
    store = opened.Root.DSS
    assert len(store.CRLs) == 1
    assert len(store.Certs) >= 3


def test_it_holds_after_the_certificate_has_ended(made: tuple[bytes, bytes]) -> None:
    """Ten days on, the signer's certificate has ended: the time stamp and the list say that it was good."""
    pdf, roots = made
    later = datetime.now(UTC) + timedelta(days=10)
    trusted = load_roots(roots, source="roots.pem")
    assert verify_pdf(pdf, roots=trusted, moment=later).valid
    revision = pdf[: pdf.rindex(b"%%EOF", 0, -8) + 6]
    assert not verify_pdf(revision, roots=trusted, moment=later).valid, "without the revocation data"
    assert verify_pdf(revision, roots=trusted).valid, "which is not needed as long as it is valid"


def test_without_roots_it_is_not_said_to_last(made: tuple[bytes, bytes]) -> None:
    assert not verify_pdf(made[0]).signatures[0].long_term


def test_pages_stay_as_they_were_and_metadata_too(made: tuple[bytes, bytes]) -> None:
    opened = pikepdf.open(io.BytesIO(made[0]))
    with opened.open_metadata() as told:
        assert told["pdf:Producer"] == str(opened.docinfo["/Producer"])


@pytest.mark.parametrize("profile", ["pdfa3a", "ua1"])
def test_a_validator_finds_nothing_against_it(made: tuple[bytes, bytes], profile: ValidationProfile) -> None:
    # It wants the signature to cover what was added after it, too, which no PAdES B-LT can; veraPDF reads ISO 19005-3,
    # 6.4.3 as of the signed revision (`test_report_verapdf.py`).
    failed = {failure.rule_id for failure in validate_pdf_bytes(made[0], profile=profile).failures}
    assert failed <= {"PDFA3A-SIGNATURE-BYTERANGE-001"}


@pytest.mark.parametrize("last", [b"\r", b"\n", b"\r\n", b"\x00"])
def test_a_stream_is_as_long_as_it_says_whatever_its_last_byte_is(made: tuple[bytes, bytes], last: bytes) -> None:
    """One list in 256 ends with a carriage return, which with a line feed behind it is one mark of a line's end."""
    writer = Revision(io.BytesIO(made[0]))
    writer.root["/Nightseal"] = writer.add_object(StreamObject(stream_data=b"list" + last))
    writer.update_root()
    out = io.BytesIO()
    writer.write(out)
    added = out.getvalue()[len(made[0]) :]
    assert added.count(b"\r\nendstream") == added.count(b"endstream") >= 2, "the table of references is one as well"
    failed = {failure.rule_id for failure in validate_pdf_bytes(out.getvalue(), profile="pdfa3a").failures}
    assert "PDFA3A-STREAM-LENGTH-001" not in failed


def test_what_is_added_behind_it_is_found_out(made: tuple[bytes, bytes]) -> None:
    assert not verify_pdf(made[0] + b"\n% more\n").valid


def test_a_revoked_signer_signs_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        serial = here.signer.certificate.serial_number
        here.answers["ca.crl"] = revocation_list(here.ca, revoked=[(serial, None)])
        with pytest.raises(OutputError, match="no revocation data"):
            signed(here)


def test_where_the_authority_does_not_answer_nothing_is_signed(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.answers["ca.crl"] = 404
        with pytest.raises(OutputError, match="no revocation data"):
            signed(here)


def test_pdfsig_reads_signer_and_stamp(made: tuple[bytes, bytes], tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(made[0])
    told = subprocess.run(
        [program("pdfsig", "poppler-utils"), "-nocert", str(path)], check=False, capture_output=True, text=True
    )
    assert "Signature is Valid" in told.stdout
    assert "Jane" in told.stdout
    assert "ETSI.CAdES.detached" in told.stdout


def test_pyhanko_validates_it_by_its_own_profile(made: tuple[bytes, bytes]) -> None:
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import RevocationInfoValidationType, validate_pdf_ltv_signature
    from pyhanko_certvalidator import ValidationContext

    (embedded,) = PdfFileReader(io.BytesIO(made[0])).embedded_regular_signatures
    roots = list(load_roots(made[1], source="roots.pem"))
    with pytest.warns(DeprecationWarning, match="ad-hoc"):
        status = validate_pdf_ltv_signature(
            embedded,
            RevocationInfoValidationType.PADES_LT,
            {"trust_roots": roots, "retroactive_revinfo": True},
            bootstrap_validation_context=ValidationContext(trust_roots=roots, allow_fetching=False),
        )
    assert status.bottom_line
