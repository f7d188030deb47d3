"""Turns pydantic's errors into problems that name the key by its dotted path and the nearest key that exists."""

from __future__ import annotations

import re
import types
import typing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from scanner.errors import Problem, nearest
from scanner.platform_words import WORDS
from scanner.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_LONGEST_LABEL = 100


def problems_of(error: ValidationError, model: type[BaseModel], raw: Any = None) -> list[Problem]:
    """List what is wrong, each with the dotted path of its key; unknown keys with the nearest known one.

    Where `raw` is what was checked, elements of lists are told by their names or addresses.
    """
    problems = []
    for item in error.errors(include_url=False):
        location = item["loc"]
        path = _told(location, raw)
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, location[:-1])
            hint = nearest(str(location[-1]), known) or f"known here: {', '.join(sorted(known))}"
            problems.append(Problem(path, "unknown key", hint))
        elif item["type"] == "missing":
            problems.append(Problem(path, "is required"))
        else:
            message = item["msg"].removeprefix("Value error, ").removeprefix("Input ")
            value = item["input"]
            given = f", not {value!r}" if isinstance(value, str | int | float | bool) and "not " not in message else ""
            problems.append(Problem(path, f"{message}{given}", _guess(item)))
    return problems


def _guess(error: ErrorDetails) -> str | None:
    """The nearest of the values that there are, by the words of the platform's documentation or by the letters."""
    if error["type"] not in {"enum", "literal_error"}:
        return None
    known = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
    word = " ".join(re.split(r"[\s_-]+", str(error["input"]).strip().casefold()))
    meant = next((value for value in WORDS.get(word, ()) if value in known), None)
    return f'did you mean "{meant}"?' if meant else nearest(str(error["input"]), known)


def dotted(location: Sequence[str | int]) -> str:
    """Join a location: names by dots, positions (counted from 1, as people do) in brackets."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


def label_of(item: Any) -> str | None:
    """What an element of a list is called in problems: its name, path or address; None where it has none."""
    if not isinstance(item, dict):
        return None
    for key in ("name", "path", "from"):
        if isinstance(item.get(key), str):
            return _short(item[key])
    host = item.get("host")
    return f"{_short(host)}:{item.get('port', 443)}" if isinstance(host, str) else None


def _short(text: str) -> str:
    """What stands in brackets is one line, and holds none itself but those of an IPv6 address."""
    return printable(text)[:_LONGEST_LABEL]


def _told(location: Sequence[str | int], raw: Any) -> str:
    text, value = "", raw
    for part in location:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
            text += f"[{label_of(value) or part + 1}]"
        else:
            value = value.get(part) if isinstance(value, dict) else None
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
