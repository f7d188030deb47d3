"""What PDF/A-3a and PDF/UA-1 demand of a document and WeasyPrint 70 leaves out: added before the file is written.

| demanded by | what | here |
|---|---|---|
| ISO 19005-3, 6.6.2 | the metadata of the document can be read without decoding | the XMP packet is not compressed |
| ISO 14289-1, 5 | the document says that it conforms | `pdfuaid:part`, with the schema that PDF/A wants of it |
| ISO 14289-1, 7.5 | header cells say what they are the header of | `Scope` |
| ISO 14289-1, 7.8 | running heads and page numbers are artifacts of pagination | they are no content of no element |
| ISO 19005-3, 6.1.7 | a stream is as long as it says | its end is told apart from its last byte |
| ISO 19005-3, 6.8 | associated files are listed | each once, where WeasyPrint lists each twice |

Everything follows from the document alone, so the same report stays the same bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from reports.packing import LEVEL, Packed

Document = Any
"""WeasyPrint's document, whose types are not known."""
Pdf = Any
"""pydyf's PDF, a list of objects that is not written yet; the same."""

_DECLARATION: Final = b"""
<rdf:Description rdf:about="" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" pdfuaid:part="1" />
<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
 xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA identification</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
<pdfaProperty:name>part</pdfaProperty:name>
<pdfaProperty:valueType>Integer</pdfaProperty:valueType>
<pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>The part of ISO 14289 to which the document conforms</pdfaProperty:description>
</rdf:li></rdf:Seq></pdfaSchema:property>
</rdf:li></rdf:Bag></pdfaExtension:schemas>
</rdf:Description>
"""
_BEGIN: Final = b"\nstream\n"
_END: Final = b"\nendstream"
_END_APART: Final = b"\r\nendstream"
_MARK: Final = "_nightseal_ends_apart"
_END_OF_METADATA: Final = b"</rdf:RDF>"
_TEXT_PLACE: Final = b" Tm"
_POINTS_IN_PIXEL: Final = 0.75
_HEAD: Final = b"<</Type /Pagination /Subtype /Header /Attached [/Top]>>"
_FOOT: Final = b"<</Type /Pagination /Subtype /Footer /Attached [/Bottom]>>"


def finish(_: Document, pdf: Pdf, *, packed: Sequence[Packed] = ()) -> None:
    """Add to a document that is about to be written what it lacks of PDF/A-3a and PDF/UA-1.

    `packed` is what its attachments hold, in their order, where they stand in it empty.
    """
    if packed:
        _fill_attachments(pdf, packed)
    _list_attachments_once(pdf)
    _declare(pdf)
    linked = set(_linked_elements(pdf))
    _scope_headers(pdf, linked)
    _make_artifacts(pdf, linked)
    _pack_once(pdf)


def _fill_attachments(pdf: Pdf, packed: Sequence[Packed]) -> None:
    """Put in what was packed as it was made: WeasyPrint would want it whole."""
    streams = [item for item in pdf.objects if getattr(item, "extra", {}).get("Type") == "/EmbeddedFile"]
    for stream, file in zip(streams, packed, strict=True):
        stream.stream, stream.compress = [file.content], False
        stream.extra["Filter"] = "/FlateDecode"
        stream.extra["Params"] |= {"CheckSum": f"<{file.md5}>", "Size": file.size}


def _list_attachments_once(pdf: Pdf) -> None:
    if "AF" in pdf.catalog:
        pdf.catalog["AF"][:] = list(dict.fromkeys(pdf.catalog["AF"]))


def _declare(pdf: Pdf) -> None:
    metadata = _object(pdf, pdf.catalog["Metadata"])
    (packet,) = metadata.stream
    head, end, tail = packet.rpartition(_END_OF_METADATA)
    metadata.stream = [head + _DECLARATION + end + tail]
    metadata.compress = False
    _end_streams_apart(type(metadata))


def ended_apart(stream: bytes) -> bytes:
    """A written stream, with a carriage return and a line feed before its end where a line feed stood alone."""
    return stream.removesuffix(_END) + _END_APART


def _end_streams_apart(stream_type: Any) -> None:
    """Have a carriage return and a line feed written before the end of every stream.

    pydyf writes a line feed alone. Where the last byte of a stream is a carriage return, as one in 256 is, the two are
    taken for the mark of the line's end, and the stream for one byte shorter than it says. Streams of objects and of
    references are made only when the file is written, so the type itself has to know.
    """
    if not hasattr(stream_type, _MARK):
        written = stream_type.data.fget

        def data(stream: Any) -> bytes:
            if stream.extra.get("Type") == "/ObjStm":  # made when the file is written, and never changed
                _pack(stream)
            return ended_apart(written(stream))

        stream_type.data = property(data)
        setattr(stream_type, _MARK, True)


def _pack_once(pdf: Pdf) -> None:
    """Pack every stream now, where pydyf would twice: for the file, and for the identity made of everything."""
    for item in pdf.objects:
        if hasattr(item, "compress") and hasattr(item, "extra"):
            _pack(item)


def _pack(stream: Any) -> None:
    if not stream.compress:
        return
    stream.compress = False
    told: bytes = stream.data
    packed = zlib.compress(told[told.index(_BEGIN) + len(_BEGIN) :].removesuffix(_END_APART).removesuffix(_END), LEVEL)
    stream.stream = [packed]
    stream.extra["Filter"] = "/FlateDecode"


def _object(pdf: Pdf, reference: bytes) -> Any:
    return pdf.objects[int(reference.split()[0])]


def _linked_elements(pdf: Pdf) -> Iterator[int]:
    """The numbers of the elements that the tree of tags leads to."""
    waiting = [pdf.catalog["StructTreeRoot"]]
    while waiting:
        element = _object(pdf, waiting.pop())
        yield element.number
        if element.get("Type") != "/OBJR":
            waiting.extend(kid for kid in element.get("K", ()) if isinstance(kid, bytes))


def _scope_headers(pdf: Pdf, linked: set[int]) -> None:
    """A header cell in a table's head is of its column; elsewhere of its row, or of the rows below if it spans all."""
    for number in linked:
        row = pdf.objects[number]
        if row.get("S") != "/TR":
            continue
        cells = [_object(pdf, kid) for kid in row["K"]]
        in_head = _object(pdf, row["P"]).get("S") == "/THead"
        for cell in cells:
            if cell.get("S") == "/TH":
                cell["A"]["Scope"] = "/Column" if in_head or len(cells) == 1 else "/Row"


def _make_artifacts(pdf: Pdf, linked: set[int]) -> None:
    """What is marked as the content of an element that no tree leads to stands in a page's margin."""
    root = _object(pdf, pdf.catalog["StructTreeRoot"])
    numbers = _object(pdf, root["ParentTree"])["Nums"]
    parents = dict(zip(numbers[::2], numbers[1::2], strict=True))
    for page in pdf.objects:
        if isinstance(page, dict) and page.get("Type") == "/Page":
            of_page = parents[page["StructParents"]]
            loose = {mark for mark, element in enumerate(of_page) if int(element.split()[0]) not in linked}
            _mark_as_artifacts(_object(pdf, page["Contents"]).stream, loose, middle=page["MediaBox"][3] / 2)
            of_page[:] = [b"null" if mark in loose else element for mark, element in enumerate(of_page)]


def _mark_as_artifacts(stream: list[Any], loose: set[int], *, middle: float) -> None:
    for place, item in enumerate(stream):
        if isinstance(item, dict) and item.get("MCID") in loose:
            stream[place - 1] = b"/Artifact"
            stream[place] = _HEAD if _text_height(stream, place) * _POINTS_IN_PIXEL < middle else _FOOT


def _text_height(stream: list[Any], place: int) -> float:
    """How far from the page's top the text stands that follows a place in its stream, in pixels."""
    (*_, height, _) = next(
        item.split() for item in stream[place:] if isinstance(item, bytes) and item.endswith(_TEXT_PLACE)
    )
    return float(height)
