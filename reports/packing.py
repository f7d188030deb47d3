"""Files as a PDF carries them: packed as they are made, so that none is ever whole in memory."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

LEVEL: Final = 6
"""Level 9 of zlib costs a third of the processor time of a long report, and makes it 2 % smaller than this."""


class Packed(Struct, frozen=True):
    """A file that is packed: what it holds, and how long it is and which digests it has when it is unpacked.

    `md5` is what a PDF says of an embedded file to recognise it by, and proves nothing.
    """

    content: bytes
    size: int
    md5: str
    sha256: str


class Attachment(Struct, frozen=True):
    """A file that a PDF carries, packed or not. Its name's suffix tells its media type."""

    name: str
    content: bytes | Packed
    description: str

    @property
    def packed(self) -> Packed:
        """Its content as the PDF holds it."""
        return pack((self.content,)) if isinstance(self.content, bytes) else self.content


def pack(pieces: Iterable[bytes]) -> Packed:
    """Pack a file that comes in pieces."""
    packing, md5, sha256 = zlib.compressobj(LEVEL), hashlib.md5(usedforsecurity=False), hashlib.sha256()
    packed, size = list[bytes](), 0
    for piece in pieces:
        size += len(piece)
        md5.update(piece)
        sha256.update(piece)
        packed.append(packing.compress(piece))
    packed.append(packing.flush())
    return Packed(b"".join(packed), size, md5.hexdigest(), sha256.hexdigest())
