"""Turns pydantic's errors into problems that name the key by its dotted path and the nearest key that exists."""

from __future__ import annotations

import json
import re
import types
import typing
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from scanner.errors import Problem, nearest
from scanner.platform_words import KEYS, WORDS
from scanner.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_LONGEST_LABEL = 100
_TIMEDELTA: Final = re.compile(
    r"datetime\.timedelta\((?:0|(?:days=(?P<days>\d+))?(?:, )?(?:seconds=(?P<seconds>\d+))?)\)"
)
_TEXT, _NUMBER, _TABLE, _DATE = "should be text", "should be a number", "should be a table", "should be a date"
_KINDS: Final = {
    "string_type": _TEXT,
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "string_pattern_mismatch": "should be written as its documentation says",
}
"""What pydantic says in words of Python or as a regular expression, by its types of errors."""


def problems_of(error: ValidationError, model: type[BaseModel], raw: Any = None) -> list[Problem]:
    """List what is wrong, each with the dotted path of its key; unknown keys with the nearest known one.

    Where `raw` is what was checked, elements of lists are told by their names or addresses.
    """
    problems = []
    seen = set[str]()
    for item in error.errors(include_url=False):
        location = _without_branches(item, raw)
        path = _told(location, raw)
        if location != item["loc"] and path in seen:
            continue  # another of the kinds of value that the key may have
        seen.add(path)
        if item["type"] == "extra_forbidden":
            known = _keys_at(model, location[:-1])
            hint = _guess_of_key(str(location[-1]), known) or f"known here: {', '.join(sorted(known))}"
            problems.append(Problem(path, "unknown key", hint, location=location))
        elif item["type"] == "missing":
            problems.append(Problem(path, "is required", _choices_at(model, location), location=location))
        else:
            message = _KINDS.get(item["type"]) or item["msg"].removeprefix("Value error, ").removeprefix("Input ")
            message = _TIMEDELTA.sub(_in_seconds, message)
            if item["type"] in {"enum", "literal_error"}:
                message = message.replace("'", '"')
            value = item["input"]
            given = f", not {_as_written(value)}" if _is_short(value) and _wants_another(message) else ""
            problems.append(Problem(path, f"{message}{given}", _guess(item), location=location))
    return problems


def _wants_another(message: str) -> bool:
    """Whether a message says what should stand in place of the value, so that the value is worth telling."""
    return "should" in message and "not " not in message


def _in_seconds(bound: re.Match[str]) -> str:
    """A bound that pydantic writes as Python does, as a duration of the configuration: "3600s"."""
    return f"{int(bound['days'] or 0) * 86_400 + int(bound['seconds'] or 0)}s"


def _is_short(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | list | dict) and len(str(value)) <= _LONGEST_LABEL


def _as_written(value: Any) -> str:
    """A value as it stands in the file, or as nearly as makes no difference."""
    if isinstance(value, dict):
        return "a table"
    return json.dumps(value, ensure_ascii=False, default=str) if not isinstance(value, list) else "a list"


def _without_branches(error: ErrorDetails, raw: Any) -> tuple[str | int, ...]:
    """The location without what pydantic calls the kinds of value that a key may have: they are not in the file."""
    location, value = error["loc"], raw
    if raw is None:
        return location
    kept: list[str | int] = []
    for place, part in enumerate(location):
        last = place == len(location) - 1
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif isinstance(value, dict) and part in value:
            value = value[part]
        elif not (last and error["type"] == "missing"):
            continue
        kept.append(part)
    return tuple(kept)


def _guess(error: ErrorDetails) -> str | None:
    """The nearest of the values that there are, by the words of the platform's documentation or by the letters."""
    if error["type"] not in {"enum", "literal_error"}:
        return None
    known = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
    return _meant(error["input"], known, WORDS) or nearest(str(error["input"]), known)


def _guess_of_key(key: str, known: set[str]) -> str | None:
    """The nearest of the keys that there are: by its words, by those of the documentation, or by the letters."""
    return _meant(key, sorted(known), KEYS) or nearest(key.casefold(), known)


def _meant(said: Any, known: Sequence[str], words: Mapping[str, Sequence[str]]) -> str | None:
    """Which of what is known is meant, by its own words or by those of the documentation."""
    word = _as_word(said)
    meant = next((item for item in known if _as_word(item) == word), None)
    meant = meant or next((item for item in words.get(word, ()) if item in known), None)
    return f'did you mean "{meant}"?' if meant else None


def _as_word(said: Any) -> str:
    """What was written, as the words of the documentation are: in lower case, with single spaces."""
    return " ".join(re.split(r"[\s_-]+", str(said).strip().casefold()))


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


def _choices_at(model: type[BaseModel], location: Sequence[str | int]) -> str | None:
    """The values that a key may have, as a hint; None where they are not a few words."""
    kind: Any = model
    for part in location:
        if not isinstance(part, int) and _is_model(kind):
            annotation = next((f.annotation for n, f in kind.model_fields.items() if part in {n, f.alias}), None)
            kind = _unwrap(annotation)
    if not (isinstance(kind, type) and issubclass(kind, StrEnum)):
        return None
    *first, last = (f'"{item.value}"' for item in kind)
    return f"{', '.join(first)} or {last}" if first else last


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
