"""Characters that no font at hand can draw, written as their code points.

PDF/A and PDF/UA want a glyph for each character. An emoji in an organisation's name has none in most fonts, so what is
claimed of the document would be false; and a reader would see a box. `U+1F512` says what stands there.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it ships no types

_OTHER: Final = re.compile(r"[^\x00-\xff]")
"""Characters that are looked up: those of Latin-1 every font of the reports has."""
_SYSTEM_FONTS: Final = 0
_FOUND: Final = 0


class _FontSet(ctypes.Structure):
    _fields_ = (
        ("number", ctypes.c_int),
        ("room", ctypes.c_int),
        ("fonts", ctypes.POINTER(ctypes.c_void_p)),
    )


def drawable(html: str, folders: Sequence[Path], has: Callable[[str], bool] | None = None) -> str:
    """The page with each character that no font has as its code point; those that are not drawn anyway are left out.

    Args:
        html: the page.
        folders: where the fonts of the reports are.
        has: whether some font of the machine has a character; asks fontconfig by default.
    """
    others = set(_OTHER.findall(html))
    if not others:
        return html
    known = _in_files(tuple(path for folder in folders for path in sorted((folder / "fonts").glob("*.woff2"))))
    missing = {character for character in others - known if not (has or _on_machine)(character)}
    if not missing:
        return html
    return html.translate({ord(character): _instead(character) for character in missing})


def _instead(character: str) -> str:
    ignored = unicodedata.category(character) in {"Cf", "Mn", "Me"}
    return "" if ignored else f"[U+{ord(character):04X}]"


@cache
def _in_files(paths: tuple[Path, ...]) -> frozenset[str]:
    return frozenset(chr(code) for path in paths for code in TTFont(path, lazy=True).getBestCmap())


def _on_machine(character: str) -> bool:
    return any(_has(charset, character) for charset in _charsets())


def _has(charset: Any, character: str) -> bool:
    return bool(_library().FcCharSetHasChar(charset, ctypes.c_uint32(ord(character))))


@cache
def _library() -> Any:
    """Fontconfig, which WeasyPrint has loaded already."""
    library = ctypes.CDLL(ctypes.util.find_library("fontconfig") or "libfontconfig.so.1")
    library.FcConfigGetFonts.restype = ctypes.POINTER(_FontSet)
    library.FcConfigGetFonts.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.FcPatternGetCharSet.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
    library.FcCharSetHasChar.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    return library


@cache
def _charsets() -> tuple[Any, ...]:
    """What the fonts of the machine have; the fonts stay loaded as long as the library is."""
    library = _library()
    library.FcInit()
    found = library.FcConfigGetFonts(None, _SYSTEM_FONTS)
    if not found:
        return ()
    fonts = found.contents.fonts
    return tuple(_of(library, (fonts[at] for at in range(found.contents.number))))


def _of(library: Any, fonts: Iterable[Any]) -> Iterable[Any]:
    for font in fonts:
        charset = ctypes.c_void_p()
        if library.FcPatternGetCharSet(font, b"charset", 0, ctypes.byref(charset)) == _FOUND:
            yield charset
