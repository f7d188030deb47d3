"""JSON of what is only made as it is written: lists in it may be iterators, which are asked for one item at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PIECE: Final = 1 << 16


class Lazy(dict[str, Any]):
    """An object of which some values are iterators, or objects of this kind."""


def json_pieces_of(value: Any) -> Iterator[bytes]:
    """A value as JSON without blanks, in pieces of some size: the same as of a value with lists in place of iterators.

    What is in a plain dictionary or a list is taken as it is: what holds an iterator is `Lazy`.
    """
    waiting, size = list[str](), 0
    for text in _texts(value):
        waiting.append(text)
        size += len(text)
        if size > _PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


def not_empty(items: Iterable[Any]) -> Iterator[Any] | None:
    """The same items; None where there are none, so that who writes them need not make them all to know that."""
    iterator = iter(items)
    for first in iterator:
        return itertools.chain((first,), iterator)
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Lazy):
        opening = "{"
        for name, item in value.items():
            yield f"{opening}{_ENCODER.encode(name)}:"
            yield from _texts(item)
            opening = ","
        yield "}"
    elif isinstance(value, (dict, list, str)):
        yield _ENCODER.encode(value)
    elif isinstance(value, Iterator):
        opening = "["
        for item in value:
            yield opening
            yield from _texts(item)
            opening = ","
        yield "[]" if opening == "[" else "]"
    else:
        yield _ENCODER.encode(value)
