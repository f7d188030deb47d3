"""Lists of Certificate Transparency logs: the one that a kept package ships, or a file in the form of Chrome's list."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Struct

from scanner.errors import LogListError
from scanner.evidence import LogProgram, LogState
from scanner.untrusted import printable

_PACKAGE: Final = "cryptodatahub"
_LARGEST: Final = 8 << 20


class Log(Struct, frozen=True):
    """A log. `operators` are the names of who ran it and until when, the present one last, with None."""

    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    name: str
    operators: tuple[tuple[str, datetime | None], ...]
    states: Mapping[LogProgram, LogState]

    def operator_at(self, moment: datetime) -> str:
        """Who ran it at a moment: an operator can change."""
        return next((name for name, end in self.operators if end is None or moment < end), "")


@dataclass(frozen=True, slots=True)
class LogList:
    """Logs by their ids. `source` names the list, `date` says of when it is."""

    source: str
    date: datetime
    logs: Mapping[bytes, Log] = field(repr=False)


def load_logs(file: str | None = None) -> LogList:
    """The list in a file, or the one of the package.

    Raises:
        LogListError: the file cannot be read, or is not such a list.
    """
    if file is None:
        return _packaged()
    path = Path(file)
    try:
        if path.stat().st_size > _LARGEST:
            raise LogListError(f"list of logs {path}: it is larger than {_LARGEST >> 20} MiB")
        return _chrome(json.loads(path.read_bytes()), path.name)
    except OSError as error:
        raise LogListError(f"list of logs {path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"list of logs {path}: is not in the form of Chrome's log_list.json ({type(error).__name__}: {error})"
        raise LogListError(text) from error


@functools.lru_cache(maxsize=1)
def _packaged() -> LogList:
    text = (resources.files(_PACKAGE) / "common" / "certificate-transparency-log.json").read_bytes()
    logs: dict[bytes, Log] = {}
    newest = datetime.min.replace(tzinfo=UTC)
    for item in json.loads(text).values():
        states = {}
        for program in item["trust_stores"]:
            name = program["owner"].lower()
            state = program.get("log_state")
            if state is None or name not in set(LogProgram):
                continue
            since = _moment(state["timestamp"])
            newest = max(newest, since)
            states[LogProgram(name)] = LogState(state["state_type"].lower(), since)
        _add(logs, item["key"], item["description"], ((item["operator"], None),), states)
    return LogList(f"{_PACKAGE} {metadata.version(_PACKAGE)}", newest, logs)


def _chrome(document: Mapping[str, Any], source: str) -> LogList:
    logs: dict[bytes, Log] = {}
    for operator in document["operators"]:
        for item in (*operator.get("logs", ()), *operator.get("tiled_logs", ())):
            earlier = sorted((_moment(one["end_time"]), one["name"]) for one in item.get("previous_operators", ()))
            operators = (*((name, end) for end, name in earlier), (operator["name"], None))
            # The form has one state, of whoever made the list; Apple's list has the same form.
            states = {
                program: LogState(name.lower(), _moment(facts["timestamp"]))
                for name, facts in item.get("state", {}).items()
                for program in LogProgram
            }
            _add(logs, item["key"], item.get("description", ""), operators, states)
    return LogList(printable(source), _moment(document["log_list_timestamp"]), logs)


def _add(
    logs: dict[bytes, Log],
    key: str,
    name: str,
    operators: Iterable[tuple[str, datetime | None]],
    states: Mapping[LogProgram, LogState],
) -> None:
    der = base64.b64decode(key, validate=True)
    try:
        public = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        return  # whose signatures nobody can check
    if isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        named = tuple((printable(operator), end) for operator, end in operators)
        logs[hashlib.sha256(der).digest()] = Log(public, printable(name), named, states)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
