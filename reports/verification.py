"""Verifies a report's PDF: its signatures, and that the data it carries are whole and agree with themselves.

What is and is not checked stands in `docs/reports.md`. The file is not trusted: it is parsed within bounds, nothing
is fetched, and what cannot be read counts against it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from asn1crypto.parser import peek  # type: ignore[import-untyped]  # the library is not typed
from msgspec import Struct
from pydantic import ValidationError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import ModificationLevel
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from reports.attached import attachments, report_data
from reports.export.json.v1 import counted_as, from_json
from reports.export.json.v1_model import SCHEMA_ID, Report
from reports.identifier import identifier_of
from reports.long_term import context_at, load_roots
from reports.signature import REASON
from scanner.untrusted import printable
from scanner.verdict import CountedAs

if TYPE_CHECKING:
    from asn1crypto import x509  # type: ignore[import-untyped]  # the same
    from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
    from pyhanko.sign.validation.status import PdfSignatureStatus

__all__ = ["NotAReportError", "SignatureCheck", "Verification", "load_roots", "verify_pdf"]

_LOG: Final = logging.getLogger(__name__)
_SIGNED_MARKS: Final = (b"/ByteRange", b"/ETSI.CAdES.detached")
"""What a signed file says in the open, so that a damaged one is told from something else."""
EVIDENCE_SUFFIX: Final = ".evidence.json"
_BAD_PDF: Final = Exception
"""What reading a broken or hostile PDF may raise: its parsers have ten trees of errors, and raise Python's own too."""


class NotAReportError(Exception):
    """The file is no PDF, or one that carries no report of Nightseal."""


class SignatureCheck(Struct, frozen=True):
    """One signature: who says to have signed, when by their own clock, and what is wrong with it (nothing: valid).

    `trusted` tells whether a path leads from the signer's certificate to one of the given roots; None where no root was
    given, so that anybody may have signed.
    """

    signer: str
    issuer: str
    serial: str
    signed_at: datetime | None
    reason: str
    whole_file: bool
    trusted: bool | None
    problems: tuple[str, ...]
    stamped_at: datetime | None = None
    """When a third party's time stamp says that the signature was there; None without one."""
    long_term: bool = False
    """Whether the file itself shows that no certificate was revoked at that time (PAdES B-LT), by the given roots."""


class Verification(Struct, frozen=True):
    """What was found in a PDF. `report` is None where the data cannot be read; `digest` is the data's SHA-256."""

    signatures: tuple[SignatureCheck, ...]
    report: Report | None
    digest: str
    problems: tuple[str, ...]
    evidence: bytes | None = None
    """The attached evidence, by which the run can be judged again; None where none is attached."""

    @property
    def valid(self) -> bool:
        """Whether it is signed, every signature holds, and nothing is wrong with the data."""
        return bool(self.signatures) and not self.problems and not any(item.problems for item in self.signatures)


def verify_pdf(pdf: bytes, *, roots: Sequence[x509.Certificate] = (), moment: datetime | None = None) -> Verification:
    """Check a PDF, without network.

    Args:
        pdf: the file's bytes.
        roots: who may vouch for signers; without any, the signer's identity is not checked.
        moment: when their certificates must be valid, where the file does not carry revocation data; now by default.

    Raises:
        NotAReportError: it is no PDF, or it carries no report and nothing says that it was damaged.
    """
    if not pdf.startswith(b"%PDF-"):
        message = "it is not a PDF"
        if pdf[:1] == b"{":
            message += ", and only a PDF is signed; evidence in JSON is judged again with --replay"
        raise NotAReportError(message)
    if not _LOG.isEnabledFor(logging.DEBUG):
        # What it finds wrong is told below, as a finding; it would log it with a traceback as well.
        logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
    try:
        reader = PdfFileReader(io.BytesIO(pdf))
        embedded = list(reader.embedded_regular_signatures)
    except _BAD_PDF as error:
        if any(mark in pdf for mark in _SIGNED_MARKS):
            return Verification((), None, "", (f"the file is damaged: {printable(str(error))}",))
        message = f"it cannot be read ({printable(str(error))})"
        raise NotAReportError(message) from error
    signatures = tuple(_check(item, roots, moment, last=item is embedded[-1]) for item in embedded)
    try:
        files = list(attachments(reader))
        data = report_data(files)
    except _BAD_PDF as error:
        return Verification(signatures, None, "", (f"the attached data cannot be read: {printable(str(error))}",))
    if data is None:
        marked = not signatures and any(mark in pdf for mark in _SIGNED_MARKS)
        if marked or any(item.problems for item in signatures):
            why = "the file is damaged: neither its signature nor its data can be found"
            return Verification(signatures, None, "", (why if marked else "no data of a report are attached",))
        message = "it carries no report of Nightseal"
        raise NotAReportError(message)
    digest = hashlib.sha256(data).hexdigest()
    problems: list[str] = []
    try:
        report = from_json(data)
    except ValidationError as error:
        problems.append(f"the attached data are not {SCHEMA_ID}: {error.error_count()} errors")
        return Verification(signatures, None, digest, tuple(problems))
    problems += _conflicts(report)
    problems += _other_data(signatures, report, digest)
    problems += _other_pages(reader, report)
    problems += _other_table(files, report)
    evidence = [(name, content) for name, content in files if name.endswith(EVIDENCE_SUFFIX)]
    problems += _other_evidence(evidence, report)
    return Verification(signatures, report, digest, tuple(problems), evidence[0][1] if evidence else None)


def _check(
    embedded: EmbeddedPdfSignature, roots: Sequence[x509.Certificate], moment: datetime | None, *, last: bool
) -> SignatureCheck:
    try:
        certificate = embedded.signer_cert
        signer, issuer = _named(certificate.subject), _named(certificate.issuer)
        serial, signed_at = f"{certificate.serial_number:x}", embedded.self_reported_timestamp
        reason = printable(str(embedded.sig_object.get("/Reason", "")), 400)
    except _BAD_PDF as error:
        told = f"the signature cannot be read: {printable(str(error))}"
        return SignatureCheck("unknown", "unknown", "?", None, "", whole_file=False, trusted=None, problems=(told,))
    # Without roots the certificate itself is taken for one: the signature is checked, and who made it is not.
    context = ValidationContext(trust_roots=list(roots) or [certificate], allow_fetching=False, moment=moment)
    usage = KeyUsageConstraints(key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False)
    trusted: bool | None = None
    stamped: datetime | None = None
    whole = lasting = False
    try:
        status = validate_pdf_signature(embedded, context, key_usage_settings=usage)
        problems = list(_problems(embedded, status, last=last))
        whole = status.coverage is SignatureCoverageLevel.ENTIRE_FILE
        if (stamp := status.timestamp_validity) is not None:
            if stamp.intact and stamp.valid:
                stamped = stamp.timestamp
            elif status.intact:
                problems.append("the time stamp is not of this signature")
        lasting = _lasting(embedded, roots, stamped, usage)
        if roots:
            trusted = bool(status.trusted) or lasting
            # Of a file that was changed, the signature says nothing: who made it is not what is wrong.
            if not trusted and status.intact:
                why = status.trust_problem_indic
                detail = f" ({why.standard_name})" if why is not None else ""
                problems.append(f"the signer's certificate does not lead to a trusted root{detail}")
    except _BAD_PDF as error:
        problems = [f"the signature cannot be checked: {printable(str(error))}"]
    return SignatureCheck(signer, issuer, serial, signed_at, reason, whole, trusted, tuple(problems), stamped, lasting)


def _lasting(
    embedded: EmbeddedPdfSignature,
    roots: Sequence[x509.Certificate],
    stamped: datetime | None,
    usage: KeyUsageConstraints,
) -> bool:
    """Whether signer and time stamp lead to the roots by what the file carries, as of when it was stamped."""
    if stamped is None or not roots or (then := context_at(embedded.reader, roots, stamped)) is None:
        return False
    status = validate_pdf_signature(
        embedded, then, ts_validation_context=then, key_usage_settings=usage, skip_diff=True
    )
    stamp = status.timestamp_validity
    return bool(status.trusted) and stamp is not None and bool(stamp.trusted)


def _problems(embedded: EmbeddedPdfSignature, status: PdfSignatureStatus, *, last: bool) -> Iterator[str]:
    if not status.intact:
        yield "the file was changed after it was signed"
        return
    if not status.valid:
        yield "the signature was not made by the key of its certificate"
    if _has_more_than_the_signature(embedded.pkcs7_content):
        yield "something was written into the space reserved for the signature"
    if status.coverage is not SignatureCoverageLevel.ENTIRE_FILE:
        yield from _additions(status.coverage, status.modification_level, last=last, ended=_ends(embedded.reader))


def _ends(reader: PdfFileReader) -> bool:
    """Whether nothing follows the last revision."""
    reader.stream.seek(-16, io.SEEK_END)
    return bool(reader.stream.read().rstrip(b"\r\n").endswith(b"%%EOF"))


def _has_more_than_the_signature(room: bytes) -> bool:
    """Whether anything but zeros follows the signature in its room: the one place that no signature covers."""
    return bool(room[peek(room) :].strip(b"\0"))


def _named(name: x509.Name) -> str:
    return printable(str(name.native.get("common_name") or name.human_friendly))


def _additions(
    coverage: SignatureCoverageLevel | None, level: ModificationLevel | None, *, last: bool, ended: bool
) -> Iterator[str]:
    """After an earlier signature, further signatures may have been added, and nothing else; after the last, nothing."""
    revision = coverage is not None and coverage >= SignatureCoverageLevel.ENTIRE_REVISION
    harmless = level is not None and level <= ModificationLevel.FORM_FILLING
    if not revision or not harmless:
        yield "something was added to the file after it was signed, and it changes the document"
    elif last:
        if level is ModificationLevel.LTA_UPDATES and ended:
            return  # revocation data, which say nothing else
        yield "something was added to the file after its last signature"


def _other_pages(reader: PdfFileReader, report: Report) -> Iterator[str]:
    """Where the document says of itself to be of another run: its identifier is made of the run's id."""
    try:
        told = bytes(reader.trailer["/ID"][0].original_bytes)
    except _BAD_PDF:
        yield "the document has no identifier, so the run of its pages cannot be determined"
        return
    if told != identifier_of(report.run.id):
        yield f"the pages are of another run than the data, which are of run {printable(report.run.id)}"


def _other_table(files: Sequence[tuple[str, bytes]], report: Report) -> Iterator[str]:
    """Where an attached CSV differs from the data."""
    wanted = Counter(
        (report.run.id, target.id, verdict.rule, verdict.subject, verdict.status, verdict.severity)
        for target in report.targets
        for verdict in target.verdicts
    )
    columns = ("run", "target", "rule", "subject", "status", "severity")
    for name, content in files:
        if not name.endswith(".csv"):
            continue
        try:
            rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
            found = Counter(tuple(_cell(row[column]) for column in columns) for row in rows)
        except (ValueError, KeyError, csv.Error):
            yield f"the attached table {printable(name)} cannot be read"
            continue
        if {key[0] for key in found} - {report.run.id}:
            yield f"the attached table {printable(name)} is of another run than the data"
        elif found != Counter({tuple(map(_cell, key)): number for key, number in wanted.items()}):
            yield f"the attached table {printable(name)} differs from the data"


def _other_evidence(files: Sequence[tuple[str, bytes]], report: Report) -> Iterator[str]:
    """Where attached evidence says of itself to be of another run; whether it gives the verdicts, a replay tells."""
    if len(files) > 1:
        yield "several files of evidence are attached"
    for name, content in files:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or "run_id" not in document:
            yield f"the attached evidence {printable(name)} cannot be read"
        elif document["run_id"] != report.run.id:
            yield f"the attached evidence {printable(name)} is of another run than the data"


def _cell(value: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return value.removeprefix("'")


def _conflicts(report: Report) -> Iterator[str]:
    """Where what the data say in sum is not what they say one by one."""
    verdicts = [verdict for target in report.targets for verdict in target.verdicts]
    statuses = [verdict.status for verdict in verdicts]
    summary = report.summary
    counted = {
        "targets": (summary.targets, len(report.targets)),
        "assessed": (summary.assessed, sum(target.status == "assessed" for target in report.targets)),
        "pass": (summary.pass_, statuses.count("pass")),
        "fail": (summary.fail, statuses.count("fail")),
        "not_applicable": (summary.not_applicable, statuses.count("not-applicable")),
        "indeterminate": (summary.indeterminate, statuses.count("indeterminate")),
        "waived": (summary.waived, sum(verdict.waiver is not None for verdict in verdicts)),
    }
    kinds = Counter(counted_as(verdict) for verdict in verdicts)
    for name, told_of_it, kind in (
        ("not_met", summary.not_met, CountedAs.NOT_MET),
        ("notes", summary.notes, CountedAs.NOTE),
    ):
        if told_of_it is not None:  # older reports do not tell
            counted[name] = (told_of_it, kinds[kind])
    for name, (told, found) in counted.items():
        if told != found:
            yield f"the summary says {told} for {name}, the verdicts give {found}"
    ids = [target.id for target in report.targets]
    if len(ids) != len(set(ids)):
        yield "a target is listed twice"
    if any(verdict.waiver is not None and verdict.status != "fail" for verdict in verdicts):
        yield "a waiver is attached to something that does not fail"


def _other_data(signatures: Sequence[SignatureCheck], report: Report, digest: str) -> Iterator[str]:
    """Where a signature of Nightseal names another run, or other data, than the file carries."""
    for signature in signatures:
        if named := REASON.fullmatch(signature.reason):
            if named["run"] != report.run.id:
                yield f"the signature is for run {named['run']}, the data are of run {printable(report.run.id)}"
            if named["digest"] != digest:
                yield "the signature is for other data than those attached"
