"""Content codings that were not asked for, undone within bounds."""

from __future__ import annotations

import zlib
from collections.abc import Iterable


def decoded(body: bytes, codings: Iterable[bytes], limit: int) -> tuple[bytes, bool]:
    """Undo a content coding that was not asked for, to at most `limit` bytes; tells whether all of it was undone.

    A coding that is not known here leaves nothing to read.
    """
    names = [name for value in codings for part in value.split(b",") if (name := part.strip().lower())]
    names = [name for name in names if name != b"identity"]
    if not names:
        return body, True
    if len(names) > 1 or names[0] not in {b"gzip", b"x-gzip", b"deflate"}:
        return b"", False
    # 32 reads the headers of gzip and zlib alike; the second attempt is for servers that send deflate without any.
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(window)
        try:
            text = stream.decompress(body, limit)
        except zlib.error:
            continue
        return text, stream.eof and not stream.unconsumed_tail
    return b"", False
