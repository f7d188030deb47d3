"""What makes a signature last: revocation data beside it in the PDF (PAdES B-LT, ETSI EN 319 142-1).

A signature proves nothing once its certificate has ended or its authority is gone. With a time stamp, and with the
lists or responses that were current then inside the file, anybody who trusts the roots can check it years later without
a network. They stand in a document security store, in a revision of its own after the signature.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyhanko.keys import load_certs_from_pemder_data
from pyhanko.pdf_utils.generic import StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.dss import DocumentSecurityStore, collect_validation_info
from pyhanko.sign.validation.errors import SignatureValidationError, ValidationInfoReadingError
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError

from reports.conformance import ended_apart
from scanner.errors import OutputError, UsageError
from scanner.untrusted import printable

if TYPE_CHECKING:
    from datetime import datetime

    from asn1crypto import x509  # type: ignore[import-untyped]  # the library is not typed


_written_by_pyhanko = StreamObject.write_to_stream


def _written_apart(stream: StreamObject, out: Any, handler: Any = None, container_ref: Any = None) -> None:
    """Write a stream with a carriage return and a line feed before its end, as `reports.conformance` does.

    pyHanko writes a line feed alone. A list or a certificate whose last byte is a carriage return, as one in 256 is,
    would be taken for one byte shorter than it says (ISO 19005-3, 6.1.7).
    """
    held = io.BytesIO()
    _written_by_pyhanko(stream, held, handler, container_ref)
    out.write(ended_apart(held.getvalue()))


# The table of references is a stream too, which the library makes as it writes: so it is the type that has to know.
StreamObject.write_to_stream = _written_apart  # type: ignore[method-assign, assignment]  # the same call


class Revision(IncrementalPdfFileWriter):
    """An update that leaves the document's metadata as they are.

    pyHanko would name itself as producer in two different ways in the two places for metadata, which PDF/A wants equal.
    """

    def _update_meta(self) -> None:
        pass


def load_roots(data: bytes, *, source: str) -> tuple[x509.Certificate, ...]:
    """Read the certificates of those who may vouch for signers, PEM or DER.

    Raises:
        UsageError: there is none in it.
    """
    try:
        found = tuple(load_certs_from_pemder_data(data))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{source} holds no certificate that can be read") from error
    if not found:
        raise UsageError(f"{source} holds no certificate")
    return found


def with_revocation_data(pdf: bytes, roots: Sequence[x509.Certificate]) -> bytes:
    """Add to a signed and stamped PDF what shows that nobody's certificate was revoked then.

    Args:
        pdf: the signed file.
        roots: the authorities of the signer and of the time stamp; their lists or responders are asked.

    Raises:
        OutputError: a certificate leads to none of the roots, is revoked, or its authority did not answer.
    """
    embedded = PdfFileReader(io.BytesIO(pdf)).embedded_regular_signatures[-1]
    context = ValidationContext(trust_roots=list(roots), allow_fetching=True, revocation_mode="hard-fail")
    try:
        paths = asyncio.run(collect_validation_info(embedded, context))
    except (PathError, ValidationError, SignatureValidationError, OSError, ValueError) as error:
        raise OutputError(f"no revocation data for the signature: {printable(str(error), 300)}") from error
    writer = Revision(io.BytesIO(pdf))
    contents = embedded.pkcs7_content.hex().encode("ascii")
    DocumentSecurityStore.supply_dss_in_writer(writer, contents, validation_context=context, paths=paths)
    out = io.BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]  # the library is typed in part
    return out.getvalue()


def context_at(reader: PdfFileReader, roots: Sequence[x509.Certificate], moment: datetime) -> ValidationContext | None:
    """How certificates were at a moment, by the data that the file carries alone; None where it carries none.

    Args:
        reader: the file.
        roots: who is trusted.
        moment: when the time stamp says that the signature was there.
    """
    try:
        store = DocumentSecurityStore.read_dss(reader)
    except ValidationInfoReadingError:
        return None
    return store.as_validation_context(
        {
            "trust_roots": list(roots),
            "allow_fetching": False,
            "revocation_mode": "hard-fail",
            "moment": moment,
            "retroactive_revinfo": True,
        }
    )
