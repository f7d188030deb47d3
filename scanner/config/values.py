"""What a section of config.toml is, and what a value may be: durations, names, ports, paths, labels, formats."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from scanner import hostname
from scanner.described import Described
from scanner.errors import nearest
from scanner.formats import FORMATS
from scanner.inventories import SOURCES
from scanner.untrusted import TURNING

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def parse_duration(value: Any) -> Any:
    """Read "90s", "1.5m", "2h", "400d" (or a bare number of seconds) as a timedelta.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        message = 'should be a duration such as "500ms", "60s", "5m", "12h" or "400d"'
        raise ValueError(message)
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def host_or_network(value: str) -> str:
    """The one spelling of a host, or of a network in prefix notation.

    Raises:
        ValueError: it is neither.
    """
    return str(ipaddress.ip_network(value)) if "/" in value else hostname.normalised(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    Field(gt=timedelta(0)),
    PlainSerializer(lambda value: f"{value.total_seconds():g}s"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_LINES = frozenset("\n\r\t")
_SCOPE_CHARACTERS = frozenset("/@*?[]")


def _refused_unseen(character: str) -> ValueError:
    called = unicodedata.name(character, "a control character")
    return ValueError(f"holds U+{ord(character):04X} ({called}), which is invisible: remove it")


def visible_text(value: str) -> str:
    """Refuse text that turns its reading direction around, or commands a terminal; joiners of letters are text.

    Raises:
        ValueError: names the first such character.
    """
    for character in value:
        if TURNING.match(character) or (unicodedata.category(character) == "Cc" and character not in _LINES):
            raise _refused_unseen(character)
    return value


def one_line(value: str) -> str:
    """Refuse visible text of more than one line, or of none.

    Raises:
        ValueError: says which character breaks the line, or that there is no text.
    """
    for character in visible_text(value):
        if character in _LINES or unicodedata.category(character) in {"Zl", "Zp"}:
            raise ValueError(f"holds U+{ord(character):04X} (a break of the line or a tab): write it on one line")
    if not value.strip():
        raise ValueError("is empty: write something, or leave the key out")
    return value


def _name(value: str) -> str:
    """Refuse a name that is not what it looks like, or that a scope could not hold."""
    for character in value:
        if unicodedata.category(character) in _UNSEEN:
            raise _refused_unseen(character)
        if character in _SCOPE_CHARACTERS:
            raise ValueError(f'holds "{character}", which has a special meaning in scopes')
    if value != value.strip():
        raise ValueError("begins or ends with a space")
    return value


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"^[^\x00-\x1f\x7f/@*?\[\]]+$"}),
]


def _spelled(pattern: str, sentence: str) -> tuple[AfterValidator, WithJsonSchema]:
    """Text of a form, and what is said of text of another: a regular expression is nothing to read."""
    wanted = re.compile(pattern)

    def check(value: str) -> str:
        if not wanted.fullmatch(value):
            raise ValueError(sentence)
        return value

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


def _url_path(value: str) -> str:
    """Refuse what no server is asked for as a path, with what is meant as far as that can be told.

    Raises:
        ValueError: says how it is written.
    """
    if value.startswith(("http://", "https://")):
        value = value.partition("://")[2].partition("/")[2]
        raise ValueError(f'has to be a path without the host: write "/{visible_text(value)}"')
    if not value.startswith("/"):
        raise ValueError(f'has to begin with "/": write "/{visible_text(value)}"')
    if any(character.isspace() for character in value):
        raise ValueError("holds a space or a break of the line: write a space as %20")
    if "#" in value:
        raise ValueError('holds "#", and what follows that is never sent to a server: leave it out')
    return visible_text(value)


_LABEL = _spelled(
    r"[a-zA-Z][a-zA-Z0-9_.-]{0,62}",
    'the name of a label should be a letter and then letters, digits, ".", "_" or "-", at most 63 in all',
)
_METHOD = _spelled("[A-Z]+", 'should be an HTTP method in capitals, such as "POST"')
_VARIABLE = _spelled(
    r"[A-Za-z_][A-Za-z0-9_]*", 'should be the name of an environment variable, such as "KEYSTORE_PASSWORD"'
)
_ZONE = _spelled(r"[A-Za-z0-9_-]{1,64}", 'should be at most 64 letters, digits, "_" or "-", such as "dmz"')
_MODE = _spelled("0?[4-7][0-7]{2}", 'should be the mode of a file that its owner can read, such as "0644"')
_HELO = _spelled(r"[A-Za-z0-9.:\[\]-]{1,255}", 'should be a host name, or an address in brackets such as "[192.0.2.1]"')
_WEB = _spelled("https?://.*", 'should be an address that begins with "http://" or "https://"')
LabelName = Annotated[str, _LABEL[0], _LABEL[1]]
Method = Annotated[str, _METHOD[0], _METHOD[1]]
VariableName = Annotated[str, _VARIABLE[0], _VARIABLE[1]]
ZoneName = Annotated[str, _ZONE[0], _ZONE[1]]
FileMode = Annotated[str, _MODE[0], _MODE[1]]
MailName = Annotated[str, _HELO[0], _HELO[1]]
WebAddress = Annotated[str, _WEB[0], _WEB[1]]
Labels = Annotated[
    dict[
        LabelName,
        Annotated[str, StringConstraints(max_length=100), AfterValidator(_name)],
    ],
    Field(max_length=20),
]
Port = Annotated[int, Field(ge=1, le=65535)]
UrlPath = Annotated[
    str,
    StringConstraints(max_length=2000),
    AfterValidator(_url_path),
    WithJsonSchema({"type": "string", "maxLength": 2000, "pattern": r"^/[^\s#]*$"}),
]
Event = Literal[
    "new-failure", "worse", "better", "fixed", "expiring", "run-failed", "indeterminate", "waiver-expiring", "coverage",
    "certificate-changed", "certificate-renewed",
]  # fmt: skip
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _known_format(name: str) -> str:
    if name not in FORMATS:
        hint = nearest(name, FORMATS) or f"known are {', '.join(FORMATS)}"
        message = f'"{name}" is not a format ({hint})'
        raise ValueError(message)
    return name


def _known_source(name: str) -> str:
    if name not in SOURCES:
        hint = nearest(name, SOURCES) or f"known are {', '.join(SOURCES)}"
        message = f'"{name}" is not a form of inventories ({hint})'
        raise ValueError(message)
    return name


SourceName = Annotated[str, AfterValidator(_known_source), WithJsonSchema({"type": "string", "enum": list(SOURCES)})]
"""One of the forms in which hosts are read."""
FormatName = Annotated[str, AfterValidator(_known_format), WithJsonSchema({"type": "string", "enum": list(FORMATS)})]
"""One of the formats in which a run is written."""


def _name_server(value: str) -> str:
    hostname.place_of(value)
    return value


NameServer = Annotated[str, AfterValidator(_name_server)]
"""The address of a name server, with a port where it is not 53."""
HostOrNetwork = Annotated[str, AfterValidator(host_or_network)]
"""A host, or a network in prefix notation."""
ShortText = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(one_line),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\x00-\x1f\x7f]+$"}),
]
"""A line for people."""
Text = Annotated[str, AfterValidator(visible_text)]
"""What people read in reports."""


class Form(Described, BaseModel):
    """Base of every section: closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, defer_build=True)
