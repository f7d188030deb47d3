"""An index of the serial numbers in a large list of revoked certificates, made in one pass over its bytes.

To search 60 MB for a serial number takes 20 ms, and every certificate of an issuer is searched for in the same list. So
the places of all of them are gathered, with a hash of each, without reading the entries one by one.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

_CHUNK: Final = 1 << 20
"""Bytes looked at together: what is computed on the way takes a few times as many."""
_INTEGER, _SEQUENCE = 0x02, 0x30
_WORD: Final = 8
_WORDS: Final = 3
LONGEST: Final = _WORD * _WORDS
"""Bytes of a serial number that can be in the index; RFC 5280 section 4.1.2.2 allows 20."""
_HEADERS: Final = (2, 3, 4)
"""Bytes before the serial number of an entry: the tag of a sequence, and its length in one to three."""
_LOWER: Final = np.uint64((1 << 32) - 1)
_UPPER: Final = ~_LOWER
_SMALLEST: Final = 16
"""Bytes of an entry, at least: with fewer for each the bytes were made to look like entries."""
_BY_CHANCE: Final = 100
"""Places that only look like entries, beyond that: a short list may have some."""


class SerialIndex(Struct, frozen=True):
    """Where serial numbers may stand, ordered by a hash of them that nobody can foresee.

    Each of `found` is a hash in the upper half and a place in the lower one, because one array is sorted much sooner
    than two.
    """

    found: npt.NDArray[np.uint64]
    factors: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, data: bytes | mmap.mmap, start: int, end: int) -> SerialIndex | None:
        """The index of the entries between two places; None where there are more than can be entries."""
        # Random, so that no list can be made of which all serial numbers have one hash.
        factors = np.random.default_rng().integers(0, 1 << 63, _WORDS + 1, dtype=np.uint64) * np.uint64(2)
        factors += np.uint64(1)
        most = (end - start) // _SMALLEST + _BY_CHANCE
        parts: list[npt.NDArray[np.uint64]] = []
        for at in range(start, end, _CHUNK):
            first = max(at - max(_HEADERS), start)
            part = np.frombuffer(data[first : min(at + _CHUNK + LONGEST + 2, end)] + bytes(LONGEST + 2), np.uint8)
            where = _numbers(part, at - first, min(at + _CHUNK, end) - first)
            most -= len(where)
            if most < 0:
                return None
            parts.append(_hashes(part, where, factors) & _UPPER | (where + first).astype(np.uint64))
        if not parts:
            return None
        found = np.concatenate(parts)
        found.sort()
        return cls(found, factors)

    @staticmethod
    def holds(number: bytes) -> bool:
        """Whether numbers of this size are in the index, as DER writes them."""
        return len(number) <= LONGEST + 2

    def places_of(self, number: bytes) -> Iterator[int]:
        """Where a serial number may stand, as DER writes it with its tag and length; in order."""
        part = np.frombuffer(number + bytes(LONGEST), np.uint8)
        wanted = _hashes(part, np.zeros(1, np.int64), self.factors)[0] & _UPPER
        begin = int(np.searchsorted(self.found, wanted))
        end = int(np.searchsorted(self.found, wanted | _LOWER, "right"))
        yield from (int(place) for place in self.found[begin:end] & _LOWER)


def _numbers(part: npt.NDArray[np.uint8], begin: int, end: int) -> npt.NDArray[np.int64]:
    """Where, from `begin` to `end`, an INTEGER follows what can be the head of a SEQUENCE."""
    where: npt.NDArray[np.int64] = np.flatnonzero(part[begin:end] == _INTEGER) + begin
    follows: npt.NDArray[np.bool_] = np.zeros(len(where), np.bool_)
    for header in _HEADERS:
        follows |= (where >= header) & (part[np.maximum(where - header, 0)] == _SEQUENCE)
    size = part[where + 1]
    return where[follows & (size > 0) & (size <= LONGEST)]


def _hashes(
    part: npt.NDArray[np.uint8], where: npt.NDArray[np.int64], factors: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """A hash of each INTEGER that begins there: of its length and of its content, in words."""
    size = part[where + 1]
    words: Any = np.ndarray((len(part) - _WORD + 1,), "<u8", part.data, strides=(1,))
    made: npt.NDArray[np.uint64] = size.astype(np.uint64) * factors[_WORDS]
    for word in range(_WORDS):
        read = words[where + 2 + _WORD * word] & _MASKS[word][size]
        made += read * factors[word]
    return made


def _masks() -> npt.NDArray[np.uint64]:
    """Which bits of a word belong to a number of so many bytes."""
    masks = np.zeros((_WORDS, 256), np.uint64)
    for word in range(_WORDS):
        for size in range(1, LONGEST + 1):
            bits = 8 * min(max(size - _WORD * word, 0), _WORD)
            masks[word, size] = (1 << bits) - 1
    return masks


_MASKS: Final = _masks()
