"""JSON and YAML of other people's: parsed without running anything that is in them, and bounded."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from scanner.inventories.source import MOST_BYTES, refused, text_of

_DEEPEST: Final = 100
_MOST_ALIASES: Final = 100
"""Helm and people use a few; an alias of aliases of aliases makes a giant of a few lines."""
_TOKENS: Final = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]|(\d++)([.eE][\d.eE+-]*+)?|NaN|Infinity', re.DOTALL
)
"""What JSON's depth and numbers are told by: strings, brackets, numbers (fractions may be long), and what is none."""

_FINISHED: Final = re.compile(r"\{\s*finished\s*:\s*1\s*\}")
"""The last line of masscan 1.0, which is no JSON."""


def json_of(name: str, data: bytes) -> Any:
    """Parse JSON.

    Raises:
        ConfigError: it is not JSON, is nested too deep, or holds an integer of too many digits.
    """
    text = text_of(name, data)
    try:
        return _shallow(json.loads(text, parse_constant=_no_number))
    except json.JSONDecodeError as error:
        raise refused(name, f"is not JSON: {error.msg}", error.lineno) from error
    except (RecursionError, ValueError) as error:
        what, line = _excess(text)
        raise refused(name, what, line) from error


def _no_number(constant: str) -> None:
    """Refuse what Python would take for a number, and JSON has not.

    Raises:
        ValueError: always.
    """
    raise ValueError(constant)


def _shallow(parsed: Any) -> Any:
    """What was parsed, if it is not too deep: how deep the parser itself goes differs between versions of Python.

    Raises:
        RecursionError: it is.
    """
    level = [parsed]
    for _ in range(_DEEPEST):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return parsed
    raise RecursionError


def _excess(text: str) -> tuple[str, int]:
    """What of JSON is more than can be parsed, of which the parser does not say where it is, and its line."""
    digits = sys.get_int_max_str_digits()
    depth = 0
    for token in _TOKENS.finditer(text):
        what = ""
        if token[1] is not None:
            too_long = token[2] is None and len(token[1]) > digits > 0
            what = f"contains a number of more than {digits} digits" if too_long else ""
        elif token[0] in {"[", "{"}:
            depth += 1
            what = f"is nested more than {_DEEPEST} deep" if depth > _DEEPEST else ""
        elif token[0] in {"]", "}"}:
            depth -= 1
        elif token[0] in {"NaN", "Infinity"}:
            what = f"is not JSON: {token[0]} is not a number"
        if what:
            return what, text.count("\n", 0, token.start()) + 1
    return "is not JSON", 1


def json_lines(name: str, data: bytes) -> Iterator[tuple[int, Any]]:
    """Parse a line of JSON after the other, or a list of which each element is a line, as masscan writes it.

    Raises:
        ConfigError: a line is not JSON.
    """
    for line, text in enumerate(text_of(name, data).splitlines(), 1):
        item = text.strip().rstrip(",")
        if item in {"", "[", "]"} or item.startswith("#") or _FINISHED.fullmatch(item):
            continue
        try:
            found = _shallow(json.loads(item, parse_constant=_no_number))
        except json.JSONDecodeError as error:
            raise refused(name, f"is not JSON: {error.msg}", line, "one object a line") from error
        except (RecursionError, ValueError) as error:
            raise refused(name, _excess(item)[0], line) from error
        if isinstance(found, list):
            yield from ((line, each) for each in found)
        else:
            yield line, found


def yaml_of(name: str, data: bytes) -> list[Any]:
    """Parse the documents of a YAML file; JSON is YAML too, and is parsed as what it is.

    Raises:
        ConfigError: it is not YAML, has tags of a language, or aliases that make more of it than there is.
    """
    text = text_of(name, data)
    if text.lstrip().startswith(("{", "[")):
        return [json_of(name, data)]
    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = type("_Loader", (safe,), {"construct_object": _construct_object})
    try:
        _bounded(name, yaml.parse(text, Loader=loader))
        return [item for item in yaml.load_all(text, Loader=loader) if item is not None]  # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = "has a tag that constructs objects of a program" if _is_tag(error) else f"is not YAML: {error.problem}"
        raise refused(name, what, mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise refused(name, f"is not YAML: {' '.join(str(error).split())[:100]}", 1) from error


Way = tuple[str | int, ...]
"""The way to a value: keys, and positions in lists counted from 0."""


def lines_of(data: bytes, depth: int = 3) -> Mapping[Way, int]:
    """The lines of what is in the first document of YAML or JSON that was parsed already, as deep as is asked for.

    Empty where YAML's parser does not take it.
    """
    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[Way, int] = {}
    try:
        loader = safe(data.decode("utf-8-sig"))
        root = loader.get_node() if loader.check_node() else None
    except (yaml.YAMLError, RecursionError, ValueError):
        return {}
    level: list[tuple[Way, Any]] = [((), root)] if root is not None else []
    for _ in range(depth):
        level = [((*way, step), child) for way, node in level for step, child in _children(node)]
        found.update((way, node.start_mark.line + 1) for way, node in level)
    return found


def _children(node: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(node, yaml.SequenceNode):
        yield from enumerate(node.value)
    elif isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), child) for key, child in node.value)


def line_of(lines: Mapping[Way, int], way: Way) -> int:
    """The line of a value, or of what it is in; 0 where neither is known."""
    return next((lines[way[:end]] for end in range(len(way), 0, -1) if way[:end] in lines), 0)


def _bounded(name: str, events: Iterable[Any]) -> None:
    """See that the documents are no deeper and, with every alias written out, no larger than anybody would write.

    An alias costs nothing while it is loaded; whoever makes text of what it stands in pays for all of it.
    """
    aliases = 0
    sizes: dict[str, int] = {}
    stack: list[tuple[str | None, int]] = [(None, 0)]
    for event in events:
        line = event.start_mark.line + 1
        anchor = getattr(event, "anchor", None)
        size = 0
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            anchor, size = None, sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            size = len(event.value) + 1
        elif isinstance(event, yaml.CollectionStartEvent):
            stack.append((anchor, 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = stack.pop()
        if anchor and not isinstance(event, yaml.CollectionStartEvent):
            sizes[anchor] = size
        outer, before = stack[-1]
        stack[-1] = (outer, before + size)
        if aliases > _MOST_ALIASES:
            raise refused(name, f"has more than {_MOST_ALIASES} aliases", line, "write them out")
        if before + size > MOST_BYTES:
            raise refused(name, "becomes too large with its aliases written out", line, "write them out")
        if len(stack) > _DEEPEST:
            raise refused(name, f"is nested more than {_DEEPEST} deep", line)


def _construct_object(loader: Any, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  # PyYAML's signature
    """Construct what a node stands for; of a value that is none (a 13th month, too many digits) tell where it is."""
    try:
        return yaml.SafeLoader.construct_object(loader, node, deep)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, str(error).partition(";")[0], node.start_mark) from error


def _is_tag(error: Any) -> bool:
    return "could not determine a constructor" in str(error.problem)


def object_in(value: Any) -> Mapping[str, Any]:
    """What was parsed where an object should be; empty where it is none."""
    return value if isinstance(value, dict) else {}


def items_in(value: Any) -> Sequence[Any]:
    """What was parsed where a list should be; empty where it is none."""
    return value if isinstance(value, list) else ()
