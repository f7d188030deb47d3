"""What a program looks for in a log line about a problem: file, line, key and reason; path, errno and reason.

People read the sentence. In JSON these are fields beside it (`scanner.service.logs`), the same for one kind of problem
wherever it is met.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from scanner.confidential import without
from scanner.errors import ConfigError, HistoryError, Problem
from scanner.jobs.keeping import Trouble

Fields = Mapping[str, Any]
_PLACE: Final = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+))?", re.DOTALL)


def log_with(log: logging.Logger, level: int, sentence: str, fields: Fields) -> None:
    """Log a sentence as it is, with fields that are not in it."""
    if fields:
        log.log(level, sentence.replace("%", "%%"), {name: _safe(value) for name, value in fields.items()})
    else:
        log.log(level, "%s", sentence)


def log_error(log: logging.Logger, level: int, error: BaseException, before: str = "", **more: Any) -> None:
    """Log what went wrong, `before` in front of it; each problem of a configuration is a line of its own."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            place = problem.place or error.source
            log_with(log, level, f"{before}{place}: {problem}", {**of_problem(problem, error.source), **more})
        return
    log_with(log, level, f"{before}{error}", {**of_error(error), **more})


def log_trouble(log: logging.Logger, level: int, trouble: str) -> None:
    """Log what went wrong beside a run, with the fields of the error where the sentence brings it along."""
    error = trouble.error if isinstance(trouble, Trouble) else None
    log_with(log, level, trouble, of_error(error) if error is not None else {})


def of_problem(problem: Problem, source: str) -> dict[str, Any]:
    """The fields of a problem of a configuration that was read from `source`."""
    found = _PLACE.fullmatch(problem.place or source)
    file, line = found.groups() if found else (source, None)
    return {
        "file": file,
        "line": int(line) if line else None,
        "key": problem.key or None,
        "reason": problem.message,
        "hint": problem.hint,
    }


def of_error(error: BaseException) -> dict[str, Any]:
    """The fields of an error: its type and sentence, and where the system refused something, the path and the errno."""
    fields: dict[str, Any] = {"error": type(error).__name__, "reason": str(error)}
    for item in _causes(error):
        if isinstance(item, HistoryError) and item.place:
            fields.setdefault("path", item.place)
            fields.setdefault("errno", _named(item.number))
        elif isinstance(item, OSError) and item.errno is not None:
            fields.setdefault("path", str(item.filename) if item.filename is not None else None)
            fields.setdefault("errno", _named(item.errno))
        elif isinstance(item, SQLAlchemyError):
            fields.setdefault("sqlite_error", getattr(getattr(item, "orig", None), "sqlite_errorname", None))
    return fields


def of_refusal(path: object, error: OSError) -> dict[str, Any]:
    """The fields of what the system refused at a path."""
    return {"path": str(path), "errno": _named(error.errno), "reason": error.strerror or str(error)}


def of_state(path: object, error: SQLAlchemyError) -> dict[str, Any]:
    """The fields of what the database refused at the state file."""
    orig = getattr(error, "orig", error)
    return {"path": str(path), "reason": str(orig), "sqlite_error": getattr(orig, "sqlite_errorname", None)}


def _causes(error: BaseException) -> Iterator[BaseException]:
    item: BaseException | None = error
    while item is not None:
        yield item
        item = item.__cause__


def _named(number: int | None) -> str | None:
    return None if number is None else errno.errorcode.get(number, str(number))


def _safe(value: Any) -> Any:
    return without(value) if isinstance(value, str) else value
