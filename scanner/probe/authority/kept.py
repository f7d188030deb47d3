"""Answers of authorities kept on disk, from one run to the next.

One file for each (URL, issuer's key): a line of JSON, and the answer as it came. Its time of change is when it was
fetched. It is written beside its place and moved there once its signature was checked, so two writers harm nothing and
nobody reads half of one. A file that somebody else wrote proves nothing: signatures are checked at each reading.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

SUFFIX: Final = ".answer"
_WRITING: Final = ".writing"
_LONGEST_LINE: Final = 65_536
_FORGOTTEN_SECONDS: Final = 30 * 86_400
_ABANDONED_SECONDS: Final = 86_400


def key_of(url: str, issuer_key: bytes, about: str = "") -> str:
    """The name of what a URL answers about the certificates of an issuer's key (its SPKI, DER)."""
    return hashlib.sha256(b"\n".join((url.encode(), hashlib.sha256(issuer_key).digest(), about.encode()))).hexdigest()


class KeptEntry(Struct, frozen=True):
    """A kept answer: its bytes, mapped and not read, and what to ask the server by whether it has changed."""

    path: Path
    body: mmap.mmap | bytes
    fetched_at: datetime
    etag: str = ""
    last_modified: str = ""

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """Headers by which the server need not send it again (RFC 9110 section 13)."""
        pairs = (("If-None-Match", self.etag), ("If-Modified-Since", self.last_modified))
        return tuple((name, value) for name, value in pairs if value and value.isascii() and value.isprintable())


class Draft(Struct, frozen=True):
    """An answer that is being written."""

    path: Path
    file: IO[bytes]

    @property
    def body(self) -> mmap.mmap | bytes:
        """What was written, mapped and not read."""
        self.file.flush()
        start, size = mmap.ALLOCATIONGRANULARITY, os.fstat(self.file.fileno()).st_size
        if size <= start:
            return b""
        return mmap.mmap(self.file.fileno(), size - start, access=mmap.ACCESS_READ, offset=start)


class Kept:
    """The folder. It is made when something is first written there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> KeptEntry | None:
        """What is kept under a key; None where nothing is, or nothing that can be read."""
        path = self._folder / (key + SUFFIX)
        try:
            with path.open("rb") as file:
                line = file.readline(_LONGEST_LINE)
                head = json.loads(line)
                start, size = file.tell(), os.fstat(file.fileno()).st_size
                if start % mmap.ALLOCATIONGRANULARITY or size <= start:
                    return None
                body = mmap.mmap(file.fileno(), size - start, access=mmap.ACCESS_READ, offset=start)
                fetched_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                return KeptEntry(path, body, fetched_at, str(head["etag"]), str(head["last_modified"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextlib.contextmanager
    def writing(self) -> Iterator[Draft]:
        """A new file, at the place in it where an answer begins. It is removed unless `keep` moved it.

        Raises:
            OSError: the folder takes no file.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(suffix=_WRITING, dir=self._folder)
        try:
            with os.fdopen(handle, "w+b") as file:
                # The answer begins at a page, so that it can be mapped without what stands before it.
                file.seek(mmap.ALLOCATIONGRANULARITY)
                yield Draft(Path(name), file)
        finally:
            Path(name).unlink(missing_ok=True)

    def keep(self, key: str, draft: Draft, url: str, etag: str = "", last_modified: str = "") -> None:
        """Move what was written to its place. Raises OSError."""
        head = json.dumps({"url": url[:2048], "etag": etag[:500], "last_modified": last_modified[:500]})
        line = head.encode("ascii")
        if len(line) < mmap.ALLOCATIONGRANULARITY:
            draft.file.seek(0)
            draft.file.write(line.ljust(mmap.ALLOCATIONGRANULARITY - 1) + b"\n")
            draft.file.flush()
            draft.path.replace(self._folder / (key + SUFFIX))

    def confirm(self, entry: KeptEntry) -> None:
        """The server says that an answer has not changed: it counts as fetched now."""
        with contextlib.suppress(OSError):
            os.utime(entry.path)

    def tidy(self) -> None:
        """Remove what was not asked for in a month, and what a killed run left."""
        now = time.time()
        for pattern, seconds in ((f"*{SUFFIX}", _FORGOTTEN_SECONDS), (f"*{_WRITING}", _ABANDONED_SECONDS)):
            for path in self._folder.glob(pattern):
                with contextlib.suppress(OSError):
                    if now - path.stat().st_mtime > seconds:
                        path.unlink()
