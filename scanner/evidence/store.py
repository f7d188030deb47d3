"""Evidence of many targets outside of memory: in a file without a name, read one by one when it is asked for.

The file is gone with the process, however that ends. Where no file can be written, or no longer, what is kept from then
on is held in memory, compressed: a full disk costs a run memory, and no evidence.
"""

from __future__ import annotations

import logging
import os
import tempfile
import weakref
import zlib
from typing import Final

from scanner.evidence.target import TargetEvidence, from_json, to_json

_LOG: Final = logging.getLogger(__name__)
_LEVEL: Final = 1
"""Of compression: more takes several times as long, for a tenth of the file."""


class KeptEvidence:
    """The evidence of one target, as it was when it was kept."""

    __slots__ = ("_length", "_place", "_store")

    def __init__(self, store: EvidenceStore, place: int | bytes | TargetEvidence, length: int = 0) -> None:
        self._store, self._place, self._length = store, place, length

    @property
    def json(self) -> bytes:
        """The evidence as `to_json` writes it."""
        if isinstance(self._place, TargetEvidence):
            return to_json(self._place)
        if isinstance(self._place, bytes):
            return zlib.decompress(self._place)
        return zlib.decompress(self._store.read(self._place, self._length))

    def read(self) -> TargetEvidence:
        """The evidence; made anew each time, where it is kept outside of memory."""
        return self._place if isinstance(self._place, TargetEvidence) else from_json(self.json)


class EvidenceStore:
    """Where evidence is kept, for as long as this or anything that was kept in it is held on to.

    With `few` it is held in memory as it is: to write and to read JSON takes longer to load than one scan has time for.
    """

    def __init__(self, *, few: bool = False) -> None:
        self._end = 0
        self._few = few
        self._takes_more = not few
        self._file = -1
        if few:
            return
        try:
            with tempfile.TemporaryFile(prefix="nightseal-", buffering=0) as file:
                self._file = os.dup(file.fileno())
        except OSError as error:
            self._hold_the_rest(error)
        else:
            weakref.finalize(self, os.close, self._file)

    def keep(self, evidence: TargetEvidence) -> KeptEvidence:
        """Put evidence away. What was kept before stays as it is."""
        if self._few:
            return KeptEvidence(self, evidence)
        data = zlib.compress(to_json(evidence), _LEVEL)
        if self._takes_more:
            try:
                return KeptEvidence(self, self._written(data), len(data))
            except OSError as error:
                self._hold_the_rest(error)
        return KeptEvidence(self, data, len(data))

    def read(self, place: int, length: int) -> bytes:
        """Bytes of the file."""
        return os.pread(self._file, length, place)

    def _written(self, data: bytes) -> int:
        place, done = self._end, 0
        while done < len(data):
            done += os.pwrite(self._file, data[done:], place + done)
        self._end += len(data)
        return place

    def _hold_the_rest(self, error: OSError) -> None:
        self._takes_more = False
        _LOG.warning(
            "What is seen from here on is held in memory, because no temporary file takes it (TMPDIR says where): %s",
            error,
        )
