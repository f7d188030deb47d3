"""What goes over the wire: shards one way, what became of their targets the other. JSON in closed forms, bounded.

What a worker says is read as a file from outside is: a worker may have been taken over, and then says what it likes.
"""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

import scanner
from scanner.evidence import TargetEvidence, from_json
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings
from scanner.untrusted import printable

LARGEST: Final = 4 * 2**20
"""Bytes of one message from a worker. The evidence of a target is some kilobytes."""
TOGETHER: Final = 20
"""So many things are said in one message at most: to bring one there takes as long as to read ten targets' evidence."""
_LONGEST_TEXT: Final = 2**16
TASK: Final = "nightseal.shard"


class MessageError(Exception):
    """What came is not a message of ours; the text says why."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Targets of one zone that are probed together.

    `files` are the contents of the files that `settings` names: certificates of authorities that are trusted, lists of
    CT logs.
    """

    settings: ProbeSettings
    environments: Mapping[str, Environment]
    hosts: tuple[str, ...]
    targets: tuple[Target, ...]
    concurrency: int = 50
    files: Mapping[str, str] = field(default_factory=dict)


class Kind(StrEnum):
    """What a worker says of a shard."""

    ACCEPTED = "accepted"
    BEAT = "beat"
    DONE = "done"
    REFUSED = "refused"
    FINISHED = "finished"


class Told(BaseModel):
    """One thing that a worker says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    lease: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    worker: str = Field(default="", max_length=200)
    target: str = Field(default="", max_length=1000)
    evidence: str = Field(default="", max_length=LARGEST)
    detail: str = Field(default="", max_length=1000)


def version() -> str:
    """The versions in which both sides must agree. The policy is none of them: workers judge nothing."""
    return f"Nightseal {scanner.__version__}, Python {'.'.join(platform.python_version_tuple()[:2])}"


@functools.cache
def _shards() -> TypeAdapter[Shard]:
    return TypeAdapter(Shard)


def shard_to_json(shard: Shard) -> str:
    """A shard as it is sent."""
    return _shards().dump_json(shard, exclude_defaults=True).decode()


def shard_from_json(text: str) -> Shard:
    """Read what `shard_to_json` wrote.

    Raises:
        MessageError: it is no shard of this version.
    """
    try:
        return _shards().validate_json(text)
    except ValidationError as error:
        raise MessageError(f"not a shard of this version: {error.error_count()} problems") from error


def said_in(payload: Any) -> list[Any]:
    """What is said in one message: one thing, or a few. Each is judged by itself.

    Raises:
        MessageError: it is more than a worker says at once.
    """
    if not isinstance(payload, list):
        return [payload]
    if len(payload) > TOGETHER:
        raise MessageError(f"{len(payload)} things are said at once")
    return payload


def told_from(payload: Any) -> Told:
    """Read what a worker says.

    Raises:
        MessageError: it is nothing that a worker says.
    """
    try:
        told = Told.model_validate(payload)
    except ValidationError as error:
        raise MessageError(f"not a message of a worker: {error.error_count()} problems") from error
    if told.kind not in set(Kind):
        raise MessageError("not a message of a worker: it has no kind")
    return told


def evidence_from(text: str) -> TargetEvidence:
    """Read evidence that somebody else has gathered: text in it that could do something to a reader is made visible.

    Raises:
        MessageError: it is none.
    """
    try:
        if text.isprintable() and "\\" not in text:
            return from_json(text)  # nothing in it is anything else than it looks
        return from_json(json.dumps(_harmless(json.loads(text))))
    except (ValueError, RecursionError) as error:
        raise MessageError("not evidence of this version") from error


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else printable(value, _LONGEST_TEXT)
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    if isinstance(value, dict):
        return {_harmless(key): _harmless(item) for key, item in value.items()}
    return value
