"""Signed reports: what holds, what is found out, and what is no report at all."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import pytest
import weasyprint

from reports import attached
from reports.export.csv import to_csv
from reports.export.json.v1 import to_json
from reports.identifier import identifier_of
from reports.paper import PDF_VARIANT
from reports.signature import PassphraseError, load_key, reason_for, sign_pdf
from reports.verification import NotAReportError, load_roots, verify_pdf
from scanner.errors import OutputError, UsageError
from tests.build.judged import judged_record
from tests.build.signers import person
from tests.build.time_stamps import authority

RECORD = judged_record(4).record
DATA = to_json(RECORD).encode()
JANE = person("Jane <b>Reviewer</b>\u202e")
MALLORY = person("Mallory")


OWN_EVIDENCE = json.dumps({"run_id": RECORD.run.id})


def paper(
    data: bytes = DATA,
    name: str = "run.json",
    copies: int = 1,
    *,
    run: str = RECORD.run.id,
    more: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A PDF as WeasyPrint writes reports, with one line of text instead of a hundred pages."""

    attachments = [
        weasyprint.Attachment(file_obj=io.BytesIO(data), name=f"{number}{name}", relationship="Data")
        for number in range(copies)
    ]
    attachments += [
        weasyprint.Attachment(file_obj=io.BytesIO(text.encode()), name=name, relationship="Data") for name, text in more
    ]
    made: bytes = weasyprint.HTML(string="<html lang=en><title>Report</title><p>Not compliant").write_pdf(
        pdf_variant=PDF_VARIANT, pdf_tags=True, attachments=attachments, pdf_identifier=identifier_of(run)
    )
    return made


def signed(pdf: bytes, *, by=JANE, data: bytes = DATA, run: str = RECORD.run.id) -> bytes:
    key = load_key(by.p12, None, source="key.p12")
    return sign_pdf(pdf, key, reason=reason_for(run, hashlib.sha256(data).hexdigest()))


@pytest.fixture(scope="module")
def unsigned() -> bytes:
    return paper()


@pytest.fixture(scope="module")
def pdf(unsigned: bytes) -> bytes:
    return signed(unsigned)


def test_signed_report_is_valid(pdf: bytes) -> None:
    found = verify_pdf(pdf, roots=load_roots(JANE.ca_pem, source="ca.pem"))

    assert found.valid
    assert found.problems == ()
    assert found.digest == hashlib.sha256(DATA).hexdigest()
    assert found.report
    assert found.report.run.id == RECORD.run.id
    (signature,) = found.signatures
    assert signature.signer == "Jane <b>Reviewer</b>\\u202e"
    assert signature.issuer.startswith("CA of Jane")
    assert signature.trusted is True
    assert signature.whole_file
    assert signature.signed_at
    assert abs((datetime.now(UTC) - signature.signed_at).total_seconds()) < 300


def test_report_itself_stays_as_it_was(unsigned: bytes, pdf: bytes) -> None:
    assert pdf.startswith(unsigned)
    before, after = pikepdf.open(io.BytesIO(unsigned)), pikepdf.open(io.BytesIO(pdf))
    assert dict(before.docinfo) == dict(after.docinfo), "and what the archive knows of it"
    with before.open_metadata() as was, after.open_metadata() as is_:
        assert dict(was) == dict(is_)
    (field,) = after.Root.AcroForm.Fields
    assert field.V.SubFilter == "/ETSI.CAdES.detached", "PAdES"
    assert field.F & 4, "printed, as PDF/A wants of every annotation"
    assert not field.F & 2, "not hidden, which PDF/A forbids"
    assert max(map(int, field.Rect)) < 0, "outside the page, where PDF/UA wants no tag of it"


def test_without_roots_nobody_is_vouched_for(pdf: bytes) -> None:
    found = verify_pdf(pdf)
    assert found.valid
    assert found.signatures[0].trusted is None


def test_stranger_is_not_trusted(pdf: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = verify_pdf(pdf, roots=load_roots(MALLORY.ca_pem, source="ca.pem"))
    assert not found.valid
    assert found.signatures[0].trusted is False
    assert "does not lead to a trusted root" in found.signatures[0].problems[0]
    assert caplog.records == [], "told once, not logged as well"


def room(pdf: bytes) -> tuple[int, int]:
    """Where the signature itself is: the part of the file that it does not cover."""
    found = re.search(rb"/ByteRange \[0 (\d+) (\d+)", pdf)
    assert found
    return int(found[1]), int(found[2])


def test_every_changed_part_is_found_out(pdf: bytes) -> None:
    start, end = room(pdf)
    places = [place for place in range(20, len(pdf), 997) if not start <= place < end]
    assert len(places) > 30
    for place in places:
        changed = bytearray(pdf)
        changed[place] ^= 0x01
        assert not verify_pdf(bytes(changed)).valid, place


def test_no_changed_name_ends_the_check(pdf: bytes) -> None:
    """A filter, a type or a key that its parser does not know: each raises something of its own."""
    start, end = room(pdf)
    names = [found for found in re.finditer(rb"/[A-Z][A-Za-z]{2,}\b", pdf) if not start <= found.start() < end]
    kinds = {found[0]: found.start() + 3 for found in names}
    assert {b"/FlateDecode", b"/EmbeddedFile", b"/ByteRange", b"/Contents"} <= set(kinds)
    for name, place in kinds.items():
        changed = bytearray(pdf)
        changed[place] ^= 0x01
        try:
            assert not verify_pdf(bytes(changed)).valid, name
        except NotAReportError:
            assert b"ByteRange" not in changed, name


def test_a_signed_file_whose_catalogue_is_lost_is_damaged(pdf: bytes) -> None:
    """Neither the signature nor the data can be found from there; it is not taken for a file that has none."""
    (*_, last) = re.finditer(rb"/Root (\d+)", pdf)
    changed = bytearray(pdf)
    changed[last.start(1)] ^= 0x01
    found = verify_pdf(bytes(changed))
    assert not found.valid
    assert found.problems == ("the file is damaged: neither its signature nor its data can be found",)


def test_room_of_the_signature_holds_nothing_else(pdf: bytes) -> None:
    _, end = room(pdf)
    changed = pdf[: end - 9] + b"68656c6c" + pdf[end - 1 :]
    assert pdf[end - 9 : end] == b"00000000>"
    assert verify_pdf(changed).signatures[0].problems == (
        "something was written into the space reserved for the signature",
    )


def add_page(pdf: bytes) -> bytes:
    """An update that shows another page: what a forger would do."""
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    stream = generic.StreamObject(stream_data=b"BT (Compliant) Tj ET")
    page["/Contents"] = writer.add_object(stream)
    writer.update_container(page)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("forge", [add_page, lambda pdf: pdf + b"\n% more\n", lambda pdf: pdf[:-200]])
def test_what_is_added_or_cut_is_found_out(pdf: bytes, forge: Callable[[bytes], bytes]) -> None:
    assert not verify_pdf(forge(pdf)).valid


def test_second_signature_is_welcome(pdf: bytes) -> None:
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

    out = io.BytesIO()
    key = load_key(MALLORY.p12, None, source="key.p12")
    PdfSigner(PdfSignatureMetadata(field_name="Second"), signer=key.signer).sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(pdf)), output=out
    )
    found = verify_pdf(out.getvalue())
    assert [item.signer for item in found.signatures][1] == "Mallory"
    assert found.valid, found


def test_unsigned_report_is_not_valid(unsigned: bytes) -> None:
    found = verify_pdf(unsigned)
    assert not found.valid
    assert found.problems == ()
    assert found.signatures == ()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([("run.csv", to_csv(judged_record(1).record))], "run.csv is of another run than the data"),
        ([("run.csv", to_csv(RECORD).replace(",fail,", ",pass,", 1))], "run.csv differs from the data"),
        ([("run.csv", "a,b\r\n1,2\r\n")], "run.csv cannot be read"),
        ([("run.evidence.json", '{"run_id": "another"}')], "run.evidence.json is of another run than the data"),
        ([("run.evidence.json", "{")], "run.evidence.json cannot be read"),
        ([("run.evidence.json", "[" * 100_000)], "run.evidence.json cannot be read"),
        ([("run.evidence.json", "[]")], "run.evidence.json cannot be read"),
        (
            [("run.evidence.json", OWN_EVIDENCE), ("2.evidence.json", OWN_EVIDENCE)],
            "several files of evidence are attached",
        ),
    ],
)
def test_table_evidence_and_data_are_of_one_run(more: list[tuple[str, str]], problem: str) -> None:
    """Even where whoever signed put them together."""
    found = verify_pdf(signed(paper(more=more)))
    assert not found.signatures[0].problems
    assert not found.valid
    assert any(problem in item for item in found.problems), found.problems
    assert verify_pdf(signed(paper(more=[("run.csv", to_csv(RECORD)), ("run.evidence.json", OWN_EVIDENCE)]))).valid


def test_pages_and_data_are_of_one_run() -> None:
    assert any(
        "the pages are of another run than the data" in item
        for item in verify_pdf(signed(paper(run="another"))).problems
    )


def test_a_changed_file_does_not_blame_the_trust_store(pdf: bytes) -> None:
    changed = bytearray(pdf)
    changed[pdf.index(b"stream") + 40] ^= 1
    roots = load_roots(MALLORY.ca_pem, source="ca.pem")
    problems = [text for item in verify_pdf(bytes(changed), roots=roots).signatures for text in item.problems]
    assert problems == ["the file was changed after it was signed"]


def edited(change: Callable[[dict], None]) -> bytes:
    document = json.loads(DATA)
    change(document)
    return json.dumps(document).encode()


def a_failure_passes(document: dict) -> None:
    verdict = next(v for target in document["targets"] for v in target["verdicts"] if v["status"] == "fail")
    verdict["status"] = "pass"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (a_failure_passes, "for pass, the verdicts give"),
        (lambda document: document["targets"].pop(), "for targets, the verdicts give"),
        (lambda document: document["summary"].update(waived=7), "says 7 for waived"),
        (lambda document: document["targets"].append(document["targets"][0]), "a target is listed twice"),
        (lambda document: document["run"].pop("id"), "are not nightseal.report/1"),
    ],
)
def test_data_that_contradict_themselves_are_found_out(change: Callable[[dict], None], problem: str) -> None:
    """Even where whoever signed made them."""
    data = edited(change)
    found = verify_pdf(signed(paper(data), data=data))
    assert not found.signatures[0].problems
    assert not found.valid
    assert any(problem in item for item in found.problems), found.problems


def test_signature_names_its_run_and_data(unsigned: bytes) -> None:
    found = verify_pdf(signed(unsigned, data=b"other", run="20200101T000000Z-000000"))
    assert not found.valid
    assert found.problems == (
        f"the signature is for run 20200101T000000Z-000000, the data are of run {RECORD.run.id}",
        "the signature is for other data than those attached",
    )


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(range(256)) * 20])
def test_no_report(data: bytes) -> None:
    with pytest.raises(NotAReportError):
        verify_pdf(data)


def test_pdf_of_somebody_else_is_no_report() -> None:
    with pytest.raises(NotAReportError, match="carries no report"):
        verify_pdf(signed(paper(b'{"schema": "other/1"}')))


def test_several_reports_are_none() -> None:
    found = verify_pdf(signed(paper(copies=2)))
    assert found.problems == ("the attached data cannot be read: several reports are attached",)


def test_attachment_that_would_fill_the_memory_is_not_read(monkeypatch: pytest.MonkeyPatch, pdf: bytes) -> None:
    monkeypatch.setattr(attached, "DATA_LIMIT", 1000)
    found = verify_pdf(pdf)
    assert not found.valid
    assert "larger than 1000 bytes" in found.problems[0]


class TestKeys:
    def test_passphrase_unlocks(self) -> None:
        locked = person("Joe", passphrase="open sesame")  # noqa: S106  # made up here
        assert load_key(locked.p12, "open sesame", source="joe.p12").name == "Joe"
        for wrong in (None, "close"):
            with pytest.raises(PassphraseError, match=r"joe\.p12 cannot be unlocked"):
                load_key(locked.p12, wrong, source="joe.p12")

    def test_expired_certificate_signs_nothing(self) -> None:
        with pytest.raises(UsageError, match="is not valid now"):
            load_key(person("Joe", ended=True).p12, None, source="joe.p12")

    def test_other_files_are_refused(self) -> None:
        with pytest.raises(UsageError, match="not a PKCS #12 file"):
            load_key(b"-----BEGIN PRIVATE KEY-----", None, source="joe.pem")
        with pytest.raises(UsageError, match="holds no certificate"):
            load_roots(b"nothing", source="ca.pem")


class TestTimeStamp:
    """RFC 3161, PAdES B-T: a third party says when the signature was there."""

    def stamped(self, pdf: bytes, tsa: str) -> bytes:
        key = load_key(JANE.p12, None, source="key.p12")
        return key.sign(pdf, run_id=RECORD.run.id, data_digest=hashlib.sha256(DATA).hexdigest(), tsa=tsa)

    def test_is_in_the_signature(self, unsigned: bytes, tmp_path: Path) -> None:
        with authority(tmp_path) as tsa:
            pdf = self.stamped(unsigned, tsa)
        found = verify_pdf(pdf, roots=load_roots(JANE.ca_pem, source="ca.pem"))
        (signature,) = found.signatures
        assert signature.problems == ()
        assert found.valid
        assert signature.stamped_at
        assert abs((datetime.now(UTC) - signature.stamped_at).total_seconds()) < 60

    def test_is_missing_where_none_was_asked_for(self, pdf: bytes) -> None:
        assert verify_pdf(pdf).signatures[0].stamped_at is None

    def test_without_the_authority_nothing_is_signed(self, unsigned: bytes, tmp_path: Path) -> None:
        with authority(tmp_path, garbled=True) as tsa, pytest.raises(OutputError, match="gave no time stamp"):
            self.stamped(unsigned, tsa)
        with pytest.raises(OutputError, match="gave no time stamp"):
            self.stamped(unsigned, tsa)  # nobody listens there any more

    def test_a_stamp_of_another_signature_is_found_out(self, unsigned: bytes, tmp_path: Path) -> None:
        with authority(tmp_path) as tsa:
            pdf = self.stamped(unsigned, tsa)
        changed = bytearray(pdf)
        changed[pdf.index(b"stream") + 40] ^= 1
        assert not verify_pdf(bytes(changed)).valid
