"""Turns pydantic's errors into problems that name the key by its dotted path and the nearest key that exists."""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from scanner.errors import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """List what is wrong, each with the dotted path of its key; unknown keys with the nearest known one."""
    problems = []
    for item in error.errors(include_url=False):
        location = item["loc"]
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, location[:-1])
            hint = nearest(str(location[-1]), known) or f"known here: {', '.join(sorted(known))}"
            problems.append(Problem(dotted(location), "unknown key", hint))
        elif item["type"] == "missing":
            problems.append(Problem(dotted(location), "is required"))
        else:
            message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
            value = item["input"]
            given = f", not {value!r}" if isinstance(value, str | int | float | bool) and "not " not in message else ""
            problems.append(Problem(dotted(location), f"{message}{given}"))
    return problems


def dotted(location: Sequence[str | int]) -> str:
    """Join a location: names by dots, positions (counted from 1, as people do) in brackets."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


def _keys_at(model: type[BaseModel], location: Sequence[str | int]) -> set[str]:
    """The keys that `model` allows at `location`, following lists, mappings and nested models."""
    kind: Any = model
    for part in location:
        if isinstance(part, int) or not _is_model(kind):
            continue
        kind = _unwrap(next((f.annotation for n, f in kind.model_fields.items() if part in {n, f.alias}), None))
    return {field.alias or name for name, field in kind.model_fields.items()} if _is_model(kind) else set()


def _unwrap(annotation: Any) -> Any:
    """The model inside `list[Model]`, `Model | None` or `dict[str, Model]`, or the annotation itself."""
    origin = typing.get_origin(annotation)
    if origin is None:
        return annotation
    inner = [_unwrap(argument) for argument in typing.get_args(annotation)]
    models = [item for item in inner if _is_model(item)]
    if models and (origin in {list, dict, tuple, typing.Union, types.UnionType}):
        return models[0]
    return annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
