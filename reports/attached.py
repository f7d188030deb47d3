"""The data that a PDF carries, read within bounds: the file is not trusted."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from reports.export.json.v1_model import SCHEMA_ID

if TYPE_CHECKING:
    from pyhanko.pdf_utils.reader import PdfFileReader

DATA_LIMIT: Final = 1 << 30
"""Bytes of an attachment that are read: more is no report of ours."""
_NAMES_LIMIT: Final = 1000


def report_data(files: Sequence[tuple[str, bytes]]) -> bytes | None:
    """The one attachment that is a report; None where there is none.

    Raises:
        ValueError: there are several, or one is too large.
    """
    found = [data for name, data in files if name.endswith(".json") and _is_report(data)]
    if len(found) > 1:
        message = "several reports are attached"
        raise ValueError(message)
    return found[0] if found else None


def _is_report(data: bytes) -> bool:
    if data.lstrip()[:1] != b"{":
        return False
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("schema") == SCHEMA_ID


def attachments(reader: PdfFileReader) -> Iterator[tuple[str, bytes]]:
    """The names and contents of the attached files that are data."""
    names = reader.root.get("/Names", {})
    pending = [names["/EmbeddedFiles"]] if "/EmbeddedFiles" in names else []
    seen = 0
    while pending:
        node: Any = pending.pop()
        pending += list(node.get("/Kids", ()))
        listed = list(node.get("/Names", ()))
        for name, file in zip(listed[::2], listed[1::2], strict=True):
            seen += 1
            if seen > _NAMES_LIMIT:
                message = "too many attachments"
                raise ValueError(message)
            if str(name).endswith((".json", ".csv")):
                yield str(name), _inflated(file.get_object()["/EF"]["/F"])


def _inflated(stream: Any) -> bytes:
    """The contents of an embedded file, read by ourselves because its size must be bounded.

    Raises:
        ValueError: it is larger than a report, or packed otherwise than WeasyPrint packs it.
    """
    raw: bytes = stream.encoded_data
    packing = stream.get("/Filter")
    if packing is None:
        return raw
    if (packing if isinstance(packing, str) else list(packing)) not in ("/FlateDecode", ["/FlateDecode"]):
        message = f"an attachment is packed by {packing}"
        raise ValueError(message)
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(raw, DATA_LIMIT)
    if unpacking.unconsumed_tail:
        message = f"an attachment is larger than {DATA_LIMIT} bytes"
        raise ValueError(message)
    return data
