"""Pages as pictures, compared with kept ones: what no text tells, such as a chart, a colour, or a line over another.

A single letter is not seen: how the edges of letters are smoothed differs from one version of Poppler to the next, and
that they are the right ones other tests see. A page differs where more than a small part of it does after both were blurred a little.
"""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

from PIL import Image, ImageChops, ImageFilter

from tests.build.servers import program

COMMAND = "NIGHTSEAL_GOLDEN=write pytest tests/golden -k pictures"
DPI = 50
_BLUR = 0.8
_STRONG = 40
"""A difference, of 255, that an eye sees beside another page."""
_TOLERATED = 0.001
"""The part of a page's points that may differ strongly: about 25 letters."""


def page_as_picture(pdf: bytes, page: int) -> Image.Image:
    """A page, counted from 1, as Poppler draws it."""
    pdftoppm = program("pdftoppm", "poppler-utils")
    arguments = [pdftoppm, "-r", str(DPI), "-f", str(page), "-l", str(page), "-"]
    done = subprocess.run(arguments, input=pdf, check=True, capture_output=True)
    return Image.open(io.BytesIO(done.stdout)).convert("RGB")


def differing(one: Image.Image, other: Image.Image) -> tuple[float, Image.Image]:
    """The part of the points that differ strongly, and a picture of them: what is dark there differs."""
    if one.size != other.size:
        return 1.0, Image.new("L", one.size)
    blurred = [picture.filter(ImageFilter.GaussianBlur(_BLUR)) for picture in (one, other)]
    red, green, blue = ImageChops.difference(*blurred).split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    strong = strongest.point(lambda value: 255 if value > _STRONG else 0)
    share = strong.histogram()[255] / (strong.width * strong.height)
    return share, ImageChops.invert(strongest.point(lambda value: min(255, value * 4)))


def compare_picture(got: Image.Image, kept: Path, folder: Path) -> None:
    """Fail where a page looks otherwise than the kept one; leave both and the difference in a folder."""
    if os.environ.get("NIGHTSEAL_GOLDEN") == "write":
        got.save(kept, optimize=True)
    expected = Image.open(kept).convert("RGB") if kept.is_file() else Image.new("RGB", (1, 1))
    share, difference = differing(got, expected)
    if share > _TOLERATED:
        places = {"got": got, "expected": expected, "difference": difference}
        files = [folder / f"{kept.stem}-{name}.png" for name in places]
        for file, picture in zip(files, places.values(), strict=True):
            picture.save(file)
        message = (
            f"{kept.name}: {share:.2%} of the page looks otherwise ({_TOLERATED:.2%} may). "
            f"Look at {', '.join(map(str, files))}. If the page is better now, this keeps it: {COMMAND}"
        )
        raise AssertionError(message)
