"""Nothing that the evidence holds can't be shown: each fact that is changed changes what is printed, and the JSON."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import pytest

from reports.export.json.evidence import evidence_document
from reports.facts import render_facts
from scanner.evidence import Attempt, Failure, FailureReason, TargetEvidence
from scanner.verdict import RunRecord
from tests.build.judged import judged_record

RECORD = judged_record(4).record
_LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
_NOT_IN_JSON = {
    "der": "its fingerprint is there, and --format evidence and --pem have it whole",
    "tls_sct_list": "what it holds is there, each with where it came from; --pem and --format evidence have it whole",
    "sct_list": "the same",
    "duration_s": "it stands beside the evidence, at the target",
    "connections": "the same",
    "failure": "why something is not there stands in one list, for all that was looked for",
}


def sample(kind: Any, path: str, given: Mapping[Any, Any]) -> Any:  # noqa: PLR0911  # one for each kind of type
    """A value of a type that tells by itself from where it is, with everything in it that there can be."""
    kind = given.get(kind, kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return sample(arguments[0], path, given)
    if origin is Attempt:
        return Attempt(
            value=sample(arguments[0], f"{path}.value", given), incomplete=Failure(FailureReason.RESET, path)
        )
    if origin in {types.UnionType, typing.Union}:
        return sample(next(item for item in arguments if item is not type(None)), path, given)
    if origin is tuple and arguments[-1] is Ellipsis:
        return (sample(arguments[0], f"{path}[0]", given),)
    if origin is tuple:
        return tuple(sample(item, f"{path}[{number}]", given) for number, item in enumerate(arguments))
    if origin is not None and issubclass(origin, Mapping):
        return {key: sample(arguments[1], f"{path}[{key}]", given) for key in arguments[0]}
    if dataclasses.is_dataclass(kind):
        return built(kind, path, given)
    return plain(kind, path)


def built(kind: Any, path: str, given: Mapping[Any, Any]) -> Any:
    hints = typing.get_type_hints(kind, include_extras=True)
    bound = dict(zip(getattr(kind, "__parameters__", ()), (), strict=True)) | dict(given)
    values = {item.name: sample(hints[item.name], f"{path}.{item.name}", bound) for item in dataclasses.fields(kind)}
    return kind(**values)


def plain(kind: Any, path: str) -> Any:
    number = sum(map(ord, path)) * 7 + len(path)
    if issubclass(kind, Enum):
        return next(iter(kind))
    if kind is bool:
        return True
    if issubclass(kind, bytes):
        return path.encode()
    if kind in {int, float}:
        return kind(number)
    if kind is datetime:
        return _LONG_AGO + timedelta(hours=number)
    assert kind is str, (path, kind)
    return f"<{path}>"


def others(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: C901  # one for each kind of value
    """The value with one thing in it changed, with where that is, for each thing in it."""
    if isinstance(value, Attempt):
        yield from (
            (f".value{where}", Attempt(changed, None, value.incomplete)) for where, changed in others(value.value)
        )
        yield ".incomplete", Attempt(value.value)
        yield ".failure", Attempt(failure=Failure(FailureReason.TIMED_OUT, "another"))
    elif dataclasses.is_dataclass(value):
        for item in dataclasses.fields(value):
            for where, changed in others(getattr(value, item.name)):
                if (item.name, where) != ("chain", "[]"):  # there is always a leaf
                    yield f".{item.name}{where}", dataclasses.replace(value, **{item.name: changed})
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from ((f"[{key}]{where}", {**value, key: changed}) for where, changed in others(item))
    elif isinstance(value, tuple):
        if len(value) == 1:
            yield "[]", ()
        for number, item in enumerate(value):
            for where, changed in others(item):
                yield f"[{number}]{where}", (*value[:number], changed, *value[number + 1 :])
    else:
        yield "", other(value)


def other(value: Any) -> Any:
    if isinstance(value, Enum):
        return list(type(value))[-1]
    if isinstance(value, bool):
        return not value
    if isinstance(value, datetime):
        return value + timedelta(days=400)
    if isinstance(value, int | float):
        return value + 1000
    return value + (b"!" if isinstance(value, bytes) else "!")


WHOLE: TargetEvidence = built(TargetEvidence, "evidence", {})
CHANGED = dict(others(WHOLE))


def printed(evidence: TargetEvidence) -> str:
    target = dataclasses.replace(RECORD.targets[0], evidence=evidence)
    record: RunRecord = dataclasses.replace(RECORD, targets=(target,))
    return render_facts(record, "facts", width=100_000, pem=True)


def test_every_fact_can_be_printed() -> None:
    before = printed(WHOLE)

    hidden = [where for where, changed in CHANGED.items() if printed(changed) == before]

    assert not hidden


def test_every_fact_is_in_the_json() -> None:
    before = evidence_document(WHOLE).model_dump_json()

    hidden = [
        where
        for where, changed in CHANGED.items()
        if evidence_document(changed).model_dump_json() == before and where.rpartition(".")[2] not in _NOT_IN_JSON
    ]

    assert not hidden


def test_there_is_something_of_every_kind() -> None:
    """The two tests above look at all that there is: each dataclass of the evidence is met on the way."""
    assert len(CHANGED) > 300


@pytest.mark.parametrize("width", [60, 80])
def test_a_pem_block_stays_whole(width: int) -> None:
    target = RECORD.targets[0]
    text = render_facts(dataclasses.replace(RECORD, targets=(target,)), "certificate", width=width, pem=True)

    assert "-----BEGIN CERTIFICATE-----\n" in text
    assert all(len(line) == 64 for line in text.split("-----BEGIN CERTIFICATE-----\n")[1].split("\n")[:3])
