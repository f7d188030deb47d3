"""The files of a configuration: the one that is named and those that it includes, as one; and where in them a key is.

`include` names files relative to the file that includes them, globs allowed. Their `[[environment]]`, `[[schedule]]`
and the like are added to those of the including file; an environment that is named in several files is one, with the
endpoints and applications of all. A value that two files set differently is an error: nothing wins silently.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from scanner.errors import ConfigError, Problem
from scanner.inventories.source import located
from scanner.validation import label_of

Location = tuple[str | int, ...]
"""The way to a value: names of keys, and positions in lists counted from 0."""

_BUNDLE: Final = "nightseal.configuration/1"
_MOST_FILES: Final = 10_000
_GLOB: Final = re.compile(r"[*?\[]")
_SEGMENT: Final = re.compile(r'"([^"]*)"|\[((?:[^\[\]]|\[[^\]]*\])*)\]|([^.\[\]"]+)')


@dataclass(frozen=True)
class ConfigFile:
    """One file: its path as problems name it, its text and what that says."""

    path: str
    text: str
    raw: Mapping[str, Any] = field(repr=False)

    @cached_property
    def lines(self) -> Mapping[Location, int]:
        """The line of each key and of each table; read only where something is wrong."""
        from scanner.config.lines import lines_of  # noqa: PLC0415  # a whole file has no problems

        return lines_of(self.text)

    def line_of(self, location: Location) -> int:
        """The line of a key, or of the table that it should be in; 0 where neither is in the file."""
        ways = (location[:end] for end in range(len(location), 0, -1))
        return next((self.lines[way] for way in ways if way in self.lines), 0)


@dataclass(frozen=True)
class InventoryFile:
    """A file of hosts: its path as problems name it, the line of each row, and what of the file says it, in words."""

    path: str
    lines: Mapping[Location, int] = field(repr=False)
    parts: Mapping[Location, str] = field(repr=False)


Origins = Mapping[Location, tuple[ConfigFile | InventoryFile, Location]]


@dataclass(frozen=True)
class ConfigFiles:
    """All files of a configuration, the named one first, and what they say together.

    `origins` says for each part of `raw` that came from elsewhere than its own place in the first file, which file has
    it and where. `inventories` are the files of hosts, which are no part of the text.
    """

    files: tuple[ConfigFile, ...]
    raw: dict[str, Any]
    origins: Origins
    warnings: tuple[Problem, ...] = ()
    inventories: tuple[InventoryFile, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all files, as problems name them."""
        return (*(item.path for item in self.files), *dict.fromkeys(item.path for item in self.inventories))

    @property
    def text(self) -> str:
        """All that is needed to read the configuration again: the file's text, or a bundle of several."""
        if len(self.files) == 1:
            return self.files[0].text
        return json.dumps({_BUNDLE: [[item.path, item.text] for item in self.files]})

    def named(self, problem: Problem) -> Problem:
        """The problem with the file and line of its key, as far as these are known."""
        if problem.place:
            return problem
        file, location = self._origin(self._located(problem.location) or self._location(problem.key))
        line = next(
            (file.lines[location[:end]] for end in range(len(location), 0, -1) if location[:end] in file.lines), 0
        )
        part = file.parts.get(location[:1], "") if isinstance(file, InventoryFile) else ""
        return dataclasses.replace(problem, place=located(file.path, line, part))

    def without(self, left_out: Collection[Location]) -> ConfigFiles:
        """The same without some elements of lists, of which nothing more is to be said; the others keep their lines."""
        raw: dict[str, Any] = _copy(self.raw)
        lists = {location[:-1] for location in left_out}
        origins = {
            location: origin
            for location, origin in self.origins.items()
            if not any(location[: len(way)] == way and len(location) > len(way) for way in lists)
        }
        for way in lists:
            elements: Any = raw
            for part in way:
                elements = elements[part]
            kept = [position for position in range(len(elements)) if (*way, position) not in left_out]
            origins.update({(*way, new): self._origin((*way, old)) for new, old in enumerate(kept)})
            elements[:] = [elements[position] for position in kept]
        return replace(self, raw=raw, origins=origins)

    def _origin(self, location: Location) -> tuple[ConfigFile | InventoryFile, Location]:
        for end in range(len(location), 0, -1):
            if location[:end] in self.origins:
                file, there = self.origins[location[:end]]
                return file, there + location[end:]
        return self.files[0], location

    def _located(self, location: Location) -> Location:
        """A location whose last part may be a dotted key below an element that is known."""
        if not location or not isinstance(location[-1], str):
            return location
        value: Any = self.raw
        for part in location[:-1]:
            known = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
            value = value[part] if known else None
        return (*location[:-1], *self._location(location[-1], value or {}))

    def _location(self, key: str, value: Any = None) -> Location:
        """Where a dotted key leads, below a value; positions in lists may be told by names or addresses."""
        found: list[str | int] = []
        value = self.raw if value is None else value
        for quoted, element, name in _SEGMENT.findall(key):
            if element and isinstance(value, list):
                position = next((index for index, item in enumerate(value) if label_of(item) == element), None)
                if position is None and element.isdecimal():
                    position = int(element) - 1
                if position is None or position >= len(value):
                    break
                found.append(position)
                value = value[position]
            else:
                found.append(quoted or name or element)
                value = value.get(found[-1]) if isinstance(value, dict) else None
        return tuple(found)


def read_files(text: str, source: str, folder: Path) -> ConfigFiles:
    """Read what a configuration's text includes, or what it brings along, and put it together.

    Raises:
        ConfigError: a file cannot be read or is not TOML, includes itself, or contradicts another.
    """
    if text.startswith(f'{{"{_BUNDLE}"'):
        bundled = json.loads(text)[_BUNDLE]
        return _together([_parsed(path, item) for path, item in bundled], ())
    files: dict[Path, ConfigFile] = {}
    warnings: list[Problem] = []
    _collect(_parsed(source, text), folder, (), files, warnings)
    return _together(list(files.values()), tuple(warnings))


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark and with Unix ends of lines.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        hint = "`nightseal config init` writes a commented one; --config names another"
        raise ConfigError(str(path), [Problem("", "there is no such file", hint)]) from error
    except OSError as error:
        raise ConfigError(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = bytes(error.object)[: error.start].count(b"\n") + 1
        hint = "save it as UTF-8, which TOML requires"
        problem = Problem("", "cannot be read: it is not UTF-8", hint, f"{path}:{line}")
        raise ConfigError(str(path), [problem]) from error
    return clean(text)


def clean(text: str) -> str:
    """A text as it is without what editors add."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _parsed(path: str, text: str) -> ConfigFile:
    try:
        return ConfigFile(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        # What is missing at the end is missed on the last line.
        line = re.search(r"at line (\d+)", str(error))
        place = f"{path}:{line[1] if line else text.count(chr(10)) + 1}"
        raise ConfigError(path, [Problem("", f"not valid TOML: {error}", place=place)]) from error


def _collect(
    file: ConfigFile, folder: Path, chain: tuple[Path, ...], files: dict[Path, ConfigFile], warnings: list[Problem]
) -> None:
    """Add a file and those that it includes to `files`, which are named by where they really lie."""
    here = Path(file.path).resolve()
    files[here] = file
    if len(files) > _MOST_FILES:
        raise ConfigError(file.path, [Problem("include", f"more than {_MOST_FILES} files are included")])
    chain = (*chain, here)
    for position, pattern in enumerate(_patterns(file)):
        place = f"{file.path}:{file.line_of(('include', position))}"
        found = sorted(folder.glob(pattern)) if not Path(pattern).is_absolute() else _absolute(pattern)
        found = [path for path in found if path.is_file()]
        if not found:
            problem = Problem("include", f'"{pattern}" is not the name of a file in {folder}', place=place)
            if not _GLOB.search(pattern):
                raise ConfigError(file.path, [problem])
            warnings.append(Problem("include", f'"{pattern}" matches no file in {folder}', place=place))
        for path in found:
            if path.resolve() in chain:
                circle = " → ".join(str(item.name) for item in (*chain, path))
                problem = Problem("include", f"files include each other in a loop: {circle}", place=place)
                raise ConfigError(file.path, [problem])
            # Patterns may overlap; what one file says is said once.
            if path.resolve() not in files:
                _collect(_parsed(str(path), read_text(path)), path.parent, chain, files, warnings)


def _absolute(pattern: str) -> list[Path]:
    path = Path(pattern)
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _patterns(file: ConfigFile) -> list[str]:
    patterns = file.raw.get("include", [])
    if isinstance(patterns, list) and all(isinstance(item, str) and item for item in patterns):
        return patterns
    place = f"{file.path}:{file.line_of(('include',))}"
    raise ConfigError(file.path, [Problem("include", "should be a list of file names, globs allowed", place=place)])


def _together(files: Sequence[ConfigFile], warnings: tuple[Problem, ...]) -> ConfigFiles:
    merge = _Merge(files[0])
    for file in files[1:]:
        merge.add(file)
    result = ConfigFiles(tuple(files), merge.raw, merge.origins, warnings)
    if merge.problems:
        raise ConfigError(files[0].path, [result.named(problem) for problem in merge.problems])
    return result


class _Merge:
    """Puts files together. Lists of tables grow; an environment of a known name grows inside."""

    def __init__(self, first: ConfigFile) -> None:
        self._first = first
        self.raw: dict[str, Any] = {key: _copy(value) for key, value in first.raw.items()}
        self.origins: dict[Location, tuple[ConfigFile | InventoryFile, Location]] = {}
        self.problems: list[Problem] = []

    def add(self, file: ConfigFile) -> None:
        """Add what a file says."""
        for key, value in file.raw.items():
            if key != "include":
                self._merge(self.raw, key, value, (key,), file, (key,))

    def _merge(  # noqa: PLR0913, PLR0917  # both places of what is merged
        self, into: dict[str, Any], key: str, value: Any, here: Location, file: ConfigFile, there: Location
    ) -> None:
        known = into.get(key)
        if key not in into:
            into[key] = _copy(value)
            self.origins[here] = (file, there)
        elif isinstance(known, list) and _are_tables(known) and _are_tables(value):
            for index, item in enumerate(value):
                self._element(known, item, here, file, (*there, index))
        elif isinstance(known, dict) and isinstance(value, dict):
            for name, item in value.items():
                self._merge(known, name, item, (*here, name), file, (*there, name))
        elif known != value:
            place = f"{file.path}:{file.line_of(there)}"
            message = f"{self._place(here)} says something else"
            self.problems.append(Problem(_key(there, file.raw), message, "say it in one file", place))

    def _place(self, here: Location) -> str:
        """Where something that is known stands: the file that said it first, and the line."""
        way = next((here[:end] for end in range(len(here), 0, -1) if here[:end] in self.origins), None)
        file, there = (self._first, here) if way is None else self.origins[way]
        there = there if way is None else (*there, *here[len(way) :])
        return f"{file.path}:{file.line_of(there)}" if isinstance(file, ConfigFile) else file.path

    def _element(
        self, known: list[Any], item: dict[str, Any], here: Location, file: ConfigFile, there: Location
    ) -> None:
        name = item.get("name")
        if here == ("environment",) and isinstance(name, str):
            for index, other in enumerate(known):
                if isinstance(other, dict) and other.get("name") == name and self._is_elsewhere((*here, index), file):
                    for key, value in item.items():
                        self._merge(other, key, value, (*here, index, key), file, (*there, key))
                    return
        known.append(_copy(item))
        self.origins[*here, len(known) - 1] = (file, there)

    def _is_elsewhere(self, location: Location, file: ConfigFile) -> bool:
        """Twice in one file is a mistake; in two it is one environment, whose hosts are in several."""
        return location not in self.origins or self.origins[location][0] is not file


def _key(location: Location, raw: Any) -> str:
    """The key at a location, elements of lists by what they are called."""
    text, value = "", raw
    for part in location:
        value = value[part]
        if isinstance(part, int):
            text += f"[{label_of(value) or part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _copy(value: Any) -> Any:
    """A copy of what may grow."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
