"""The owner's logo: a file of the owner's, read once and carried inside the report, which asks nothing of anybody.

An SVG is a document that could run scripts and fetch things. One that would is refused rather than mended: what is left
of a drawing after half of it was taken out is not what its owner drew. What is kept is written anew from its elements,
so that nothing outside of them (style sheet instructions, document types) comes along.
"""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from defusedxml import DefusedXmlException, ElementTree
from msgspec import Struct
from PIL import Image

from scanner.errors import OutputError

MOST_BYTES: Final = 512 * 1024
"""A logo stands in every report and on every page of the site; larger ones would be felt."""
MOST_PIXELS: Final = 16_000_000
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_SVG: Final = "{http://www.w3.org/2000/svg}"
_NAMESPACES: Final = {"": "http://www.w3.org/2000/svg", "xlink": "http://www.w3.org/1999/xlink"}
_ACTIVE: Final = frozenset({"script", "foreignobject", "handler", "iframe", "embed", "object", "audio", "video"})
_REFERENCES: Final = frozenset({"href", "src"})
_OWN_PICTURE: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,", re.IGNORECASE)
_URL_IN_CSS: Final = re.compile(r"""url\(\s*['"]?\s*(?!#)""", re.IGNORECASE)
_IMPORT_IN_CSS: Final = re.compile(r"@import|@namespace|\\", re.IGNORECASE)
"""A backslash could hide either of them, and no logo needs one in its style."""


class LogoError(OutputError):
    """A file cannot be the logo of a report. `problem` says why, `hint` how to fix it."""

    def __init__(self, path: Path, problem: str, hint: str) -> None:
        self.problem, self.hint = problem, hint
        super().__init__(f"{path}: {problem} ({hint})")


class Logo(Struct, frozen=True):
    """A picture and its media type."""

    media_type: str
    content: bytes

    @property
    def address(self) -> str:
        """The picture as a data address."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.content).decode()}"


def read_logo(path: Path) -> Logo:
    """Read a logo.

    Raises:
        LogoError: it is not there, too large, no SVG or PNG, or an SVG that would run or fetch something.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise LogoError(path, f"cannot be read: {error.strerror}", "name an SVG or PNG file") from error
    if len(data) > MOST_BYTES:
        hint = f"at most {MOST_BYTES // 1024} kB; an SVG is small and sharp at every size"
        raise LogoError(path, "is too large for a logo", hint)
    if data.startswith(_PNG):
        _check_png(path, data)
        return Logo("image/png", data)
    return Logo("image/svg+xml", _checked_svg(path, data))


def _check_png(path: Path, data: bytes) -> None:
    # Width and height stand at one place in every PNG; they are read before anything is unpacked.
    width, height = (int.from_bytes(data[start : start + 4]) for start in (16, 20))
    if width * height > MOST_PIXELS:
        hint = f"at most {MOST_PIXELS // 1_000_000} million pixels; 600 pixels of width are plenty"
        raise LogoError(path, f"has {width} × {height} pixels", hint)
    # Looked for here, because WeasyPrint tells Pillow to take files that end too soon.
    if _PNG_END not in data:
        raise LogoError(path, "is not a whole PNG: its end is missing", "export it again")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise LogoError(path, f"is not a whole PNG: {error}", "export it again") from error


def _checked_svg(path: Path, data: bytes) -> bytes:
    try:
        root = ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise LogoError(path, "defines entities, which a picture does not need", "export it as a plain SVG") from error
    except (ET.ParseError, ValueError, LookupError) as error:
        raise LogoError(path, f"is neither a PNG nor an SVG: {error}", "name an SVG or PNG file") from error
    if root.tag != f"{_SVG}svg":
        raise LogoError(path, "is neither a PNG nor an SVG", "name an SVG or PNG file")
    if problem := next(_dangers(root), None):
        raise LogoError(path, problem, "export it as a self-contained SVG, or as a PNG")
    for prefix, address in _NAMESPACES.items():
        ET.register_namespace(prefix, address)
    written: bytes = ET.tostring(root, encoding="utf-8")
    return written


def _dangers(root: ET.Element) -> Iterator[str]:
    """What in a drawing would run, or ask another place for something."""
    for element in root.iter():
        name = _local(element.tag)
        if name in _ACTIVE:
            yield f"holds <{name}>"
        if name == "style" and _fetches("".join(element.itertext())):
            yield "fetches something by its style"
        for key, value in element.attrib.items():
            attribute = _local(key)
            if attribute.startswith("on"):
                yield f"runs a script ({attribute})"
            elif attribute in _REFERENCES and not (value.strip().startswith("#") or _OWN_PICTURE.match(value.strip())):
                yield f"refers to something outside of it ({attribute})"
            elif _fetches(value) and attribute not in _REFERENCES:
                yield f"fetches something by its style ({attribute})"
            elif attribute == "attributename" and value.strip().casefold().rpartition(":")[2] in _REFERENCES:
                yield "changes a reference while it is shown"


def _fetches(style: str) -> bool:
    return bool(_URL_IN_CSS.search(style) or _IMPORT_IN_CSS.search(style))


def _local(name: object) -> str:
    """The name without its namespace, in lower case; comments have none."""
    return name.rpartition("}")[2].casefold() if isinstance(name, str) else ""
