"""`[[environment.inventory]]`: hosts that stand in other files, read each time the configuration is.

A row becomes an endpoint or an application beside those of config.toml before the form is checked, so that whatever
holds for these holds for it, and each problem has the row's file and line. What config.toml says of a host and port
itself is not said again by a row that only names the host; that row gives its owner and labels to all that is there,
by whatever row or file, where they have none of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field, structs
from pydantic import ValidationError

from scanner import inventories
from scanner.config.files import ConfigFile, InventoryFile, Location
from scanner.config.form_estate import InventoryForm
from scanner.errors import ConfigError, Problem
from scanner.inventories import Contents, Options, Row
from scanner.inventories.repetitions import is_bare, joined
from scanner.inventories.source import located, problem
from scanner.inventory import InventorySource, Role, Untaken
from scanner.validation import problems_of

_OF_ENDPOINTS: Final = {"host", "port", "role", "starttls", "http_port", "xmpp_domain", "paths"}
_OF_APPLICATIONS: Final = {
    "host", "port", "http_port", "paths", "kind", "https", "force_https_screens", "force_https_integrations",
}  # fmt: skip
_OF_BOTH: Final = {"owner", "contact", "labels"}
_OF_PLACES: Final = {"host", "port", "environment"}
_EXPAND: Final = "expand = true and expected_count = {count} take them"


class Inventories(Struct):
    """What inventories add to a configuration.

    `raw` is the configuration with their rows, `origins` says which file and row each came from. `sources` are the
    inventories of each environment, `untaken` the hosts that no environment takes. `digests` are those of the files.
    """

    raw: dict[str, Any]
    origins: dict[Location, tuple[ConfigFile | InventoryFile, Location]] = field(default_factory=dict)
    files: dict[int, InventoryFile] = field(default_factory=dict)
    """By the `id` of what was read: a file may be read twice, by other columns or of another sheet."""
    sources: dict[str, list[InventorySource]] = field(default_factory=dict)
    untaken: tuple[Untaken, ...] = ()
    digests: list[str] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    """What was left out of the files, and what was assumed."""


def with_inventories(raw: dict[str, Any], folder: Path, problems: list[Problem]) -> Inventories:
    """Read the inventories that a configuration names; what is wrong with them is added to `problems`."""
    environments = raw.get("environment")
    result = Inventories(raw)
    if not isinstance(environments, list) or not any(
        isinstance(item, dict) and item.get("inventory") for item in environments
    ):
        return result
    reading = _Reading(result, folder, problems, _usual(raw))
    result.raw = {**raw, "environment": [reading.environment(item, index) for index, item in enumerate(environments)]}
    result.untaken = reading.untaken()
    return result


def with_rows(
    raw: dict[str, Any], contents: Sequence[Contents], environment_of: Callable[[Row], str], problems: list[Problem]
) -> Inventories:
    """A configuration whose environments get rows that were read already, by the names that these say."""
    result = Inventories(raw)
    usual = _usual(raw)
    reading = _Reading(result, Path(), problems, usual)
    for found in contents:
        problems += found.problems
    environments = [dict(item) for item in raw["environment"]]
    for index, item in enumerate(environments):
        adding = _Adding(item, index, result, problems, {**usual, **_usual(item)})
        for found in contents:
            rows = [row for row in found.rows if environment_of(row) == item["name"]]
            adding.add_all(found, rows, reading.file(found))
        adding.give_of_hosts()
    result.raw = {**raw, "environment": environments}
    return result


def _usual(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What its `defaults` say; what is wrong with them is told where they are checked."""
    defaults = raw.get("defaults")
    return defaults if isinstance(defaults, dict) else {}


def _place(values: Mapping[str, Any], usual: Mapping[str, Any]) -> tuple[str, int]:
    """Where something is that may inherit its port."""
    return Row(values).place_at(_port(usual))


def _port(usual: Mapping[str, Any]) -> int | None:
    port = usual.get("port")
    return port if isinstance(port, int) else None


def _give(item: dict[str, Any], owned: Mapping[str, Any]) -> None:
    """Give the owner and labels of a row to something that may have its own; a contact only with its owner."""
    if item.setdefault("owner", owned.get("owner")) is None:
        del item["owner"]
    if "contact" in owned and item.get("owner") == owned.get("owner"):
        item.setdefault("contact", owned["contact"])
    own = item.get("labels", {})
    if "labels" in owned and isinstance(own, dict):
        item["labels"] = {**owned["labels"], **own}


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


class _Reading:
    """Reads the inventories of all environments; a file that several name is read once."""

    def __init__(self, result: Inventories, folder: Path, problems: list[Problem], usual: Mapping[str, Any]) -> None:
        self._result = result
        self._usual = usual
        self._folder = folder
        self._problems = problems
        self._read: dict[tuple[object, ...], Contents | None] = {}
        self._taken: set[tuple[str, int]] = set()
        self._parts: list[Contents] = []
        """What each environment takes of each file; kept, since files are known by the `id` of what was read."""

    def environment(self, item: Any, index: int) -> Any:
        """An environment with the rows of its inventories."""
        if not isinstance(item, dict) or not isinstance(item.get("inventory"), list):
            return item
        name = str(item.get("name", index + 1))
        grown = dict(item)
        usual = {**self._usual, **_usual(item)}
        parts: list[Contents] = []
        seen: dict[int, int] = {}
        for position, raw in enumerate(item["inventory"], 1):
            said = raw.get("from") if isinstance(raw, dict) else None
            key = f"environment[{name}].inventory[{said if isinstance(said, str) else position}]"
            form = self._form(raw, key)
            contents = self._contents(form, key) if form else None
            if form is None or contents is None:
                continue
            # Of two sheets, or by other columns, one file is two sources.
            first = seen.setdefault(id(contents), position)
            if first != position:
                where = ("environment", index, "inventory", position - 1, "from")
                message = f"is the same as the {_ordinal(first)} inventory of the environment"
                self._problems.append(Problem(f"{key}.from", message, "leave one out", location=where))
                continue
            rows = [
                row for row in contents.rows if str(row.values.get("environment", name)).casefold() == name.casefold()
            ]
            self._taken |= {(contents.name, id(row)) for row in rows}
            parts.append(structs.replace(contents, rows=rows, left_out={}, problems=[]))
            source = InventorySource(form.source, len(rows), form.expected_count)
            self._result.sources.setdefault(name, []).append(source)
        adding = _Adding(grown, index, self._result, self._problems, usual)
        for part in joined(parts, lambda _: name, usual=_port(usual), apart=True):
            self._parts.append(part)
            self._problems += part.problems
            adding.add_all(part, part.rows, self.file(part))
        adding.give_of_hosts()
        return grown

    def file(self, contents: Contents) -> InventoryFile:
        """The file that rows come from, once."""
        lines: dict[Location, int] = {(number,): row.line for number, row in enumerate(contents.rows) if row.line}
        parts: dict[Location, str] = {(number,): row.part for number, row in enumerate(contents.rows) if row.part}
        return self._result.files.setdefault(id(contents), InventoryFile(contents.name, lines, parts))

    def untaken(self) -> tuple[Untaken, ...]:
        """The rows that are in no environment of the configuration that reads their file."""
        found: dict[tuple[str, int], Untaken] = {}
        for contents in filter(None, self._read.values()):
            for row in contents.rows:
                if (contents.name, id(row)) not in self._taken:
                    host, port = _place(row.values, self._usual)
                    environment = str(row.values.get("environment", ""))
                    item = Untaken(host, port, environment, located(contents.name, row.line, row.part))
                    found[contents.name, id(row)] = item
        return tuple(found.values())

    def _form(self, raw: Any, key: str) -> InventoryForm | None:
        try:
            return InventoryForm.model_validate(raw)
        except ValidationError as error:
            self._problems.extend(
                Problem(f"{key}.{found.key}" if found.key else key, found.message, found.hint)
                for found in problems_of(error, InventoryForm, raw)
            )
            return None

    def _contents(self, form: InventoryForm, key: str) -> Contents | None:
        path = self._folder / form.source
        if form.expand and form.expected_count is None:
            hint = "say how many hosts you expect: expected_count"
            self._problems.append(Problem(f"{key}.expand", "takes whole networks", hint))
            return None
        if not path.is_file():
            self._problems.append(Problem(f"{key}.from", f'"{form.source}" is not a file in {self._folder}'))
            return None
        options = Options(columns=form.columns, origin=form.origin, sheet=form.sheet)
        known = (str(path), form.format, repr(options), form.expand, form.expected_count if form.expand else None)
        if known not in self._read:
            self._read[known] = None
            try:
                data = inventories.read_bytes(path)
                contents = inventories.read(str(path), data, options, form.format)
                agreed = form.expected_count if form.expand else None
                found = inventories.expanded(contents, agreed=agreed, how=_EXPAND)
                self._problems.extend(found.problems)
                self._result.notes.extend(problem("", remark, place=contents.name) for remark in contents.remarks)
                self._read[known] = found
                self._result.digests.append(hashlib.sha256(data).hexdigest())
            except ConfigError as error:
                self._problems.extend(error.problems)
        return self._read[known]


class _Seen(Struct, frozen=True):
    """A row that was taken, where it stands, and what became of it."""

    row: Row
    path: str
    place: str
    element: dict[str, Any] | None
    here: Location


class _Adding:
    """Adds rows to one environment; `usual` is what its endpoints and applications inherit."""

    def __init__(
        self,
        environment: dict[str, Any],
        index: int,
        result: Inventories,
        problems: list[Problem],
        usual: Mapping[str, Any],
    ) -> None:
        self._environment = environment
        self._index = index
        self._result = result
        self._problems = problems
        self._usual = usual
        self._lists: dict[str, list[Any]] = {}
        self._known: dict[tuple[str, int], list[tuple[str, dict[str, Any]]]] = {}
        """What config.toml itself says is at a host and port."""
        self._there: dict[tuple[str, int], list[dict[str, Any]]] = {}
        """The same with what rows say."""
        self._given: dict[int, tuple[Mapping[str, Any], str]] = {}
        """What a row gave to each of what config.toml says, by its `id`, and where the row stands."""
        self._hosts: dict[tuple[str, int], tuple[Mapping[str, Any], str]] = {}
        """What rows that only name a host say of whose it is, and where each stands."""
        self._seen: dict[tuple[object, ...], _Seen] = {}
        self._names: dict[str, str] = {}
        for key in ("endpoint", "application"):
            items = environment.get(key, [])
            if isinstance(items, list):
                self._lists[key] = environment[key] = [dict(item) if isinstance(item, dict) else item for item in items]
                for item in self._lists[key]:
                    if isinstance(item, dict):
                        self._known.setdefault(_place(item, usual), []).append((key, item))
                        self._there.setdefault(_place(item, usual), []).append(item)

    def add_all(self, contents: Contents, rows: list[Row], file: InventoryFile) -> None:
        """Add rows of a source."""
        numbers = {id(row): number for number, row in enumerate(contents.rows)}
        for row in rows:
            self._add(row, file, numbers[id(row)])

    def give_of_hosts(self) -> None:
        """Give what rows say that only name a host to all that is there, where it has none of its own."""
        for there, (owned, _) in self._hosts.items():
            for item in self._there.get(there, ()):
                _give(item, owned)

    def _add(self, row: Row, file: InventoryFile, number: int) -> None:
        values, place = row.values, located(file.path, row.line, row.part)
        there = _place(values, self._usual)
        is_application = "application" in values or "kind" in values
        owned = {key: value for key, value in values.items() if key in _OF_BOTH}
        if is_bare(row):
            earlier, where = self._hosts.setdefault(there, (owned, place))
            if there in self._known:
                if earlier != owned:
                    self._differ(values, where, place)
                return
        elif known := self._meant(there, values):
            for item in known:
                earlier, where = self._given.setdefault(id(item), (owned, place))
                if earlier != owned:
                    self._differ(values, where, place)
                    return
                _give(item, owned)
            return
        identity = (*there, values.get("application", "") if is_application else values.get("role", "application"))
        if identity in self._seen:
            self._again(identity, row, file, number, place)
            return
        element = self._application(row, place) if is_application else self._endpoint(row, place)
        key = "application" if is_application else "endpoint"
        here: Location = ("environment", self._index, key, len(self._lists.get(key, ())))
        self._seen[identity] = _Seen(row, file.path, place, element, here)
        if element is None or key not in self._lists:
            return
        self._lists[key].append(element)
        self._there.setdefault(there, []).append(element)
        self._result.origins[here] = (file, (number,))
        for way, (name, line, part) in row.said.items():
            other = InventoryFile(name, {(0,): line} if line else {}, {(0,): part} if part else {})
            self._result.origins[*here, *way] = (other, (0,))

    def _again(self, identity: tuple[object, ...], row: Row, file: InventoryFile, number: int, place: str) -> None:
        """Take what a row says of what another one said already: where one of two files only names the host.

        Whose it is then gets everything that is there, as far as it has nothing of its own.
        """
        earlier = self._seen[identity]
        if earlier.path == file.path or is_bare(earlier.row) == is_bare(row):
            message = f"{row.host} is already listed at {earlier.place}"
            self._problems.append(problem("", message, "leave one out", place))
        elif is_bare(earlier.row) and earlier.element is not None and (more := self._endpoint(row, place)):
            for key in _OF_BOTH & earlier.element.keys():
                del earlier.element[key]  # given again at the end, where this row has none of its own
            earlier.element.update(more)
            self._result.origins |= {(*earlier.here, key): (file, (number,)) for key in more}
            self._seen[identity] = structs.replace(earlier, row=row, path=file.path, place=place)

    def _differ(self, values: Mapping[str, Any], where: str, place: str) -> None:
        message = f"{values['host']} is already listed at {where}, with another owner or other labels"
        self._problems.append(problem("", message, "leave one out", place))

    def _meant(self, there: tuple[str, int], values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What config.toml says already of all that a row says of an application or a role at its host."""
        said = {key: value for key, value in values.items() if key not in {*_OF_BOTH, *_OF_PLACES}}
        kind = "application" if "application" in said else "endpoint"
        if "application" in said:
            said["name"] = said.pop("application")
        usual = {"role": Role.APPLICATION.value, **self._usual}
        return [
            item
            for key, item in self._known.get(there, [])
            if key == kind and all(item.get(name, usual.get(name)) == value for name, value in said.items())
        ]

    def _endpoint(self, row: Row, place: str) -> dict[str, Any] | None:
        return self._fitting(row, place, _OF_ENDPOINTS, "an endpoint without an application")

    def _application(self, row: Row, place: str) -> dict[str, Any] | None:
        role = row.values.get("role", Role.APPLICATION.value)
        if role != Role.APPLICATION:
            hint = "leave the role or the application empty; several rows may name one host"
            self._problems.append(problem("role", f'is "{role}" beside an application', hint, place))
            return None
        host, port = _place(row.values, self._usual)
        name = str(row.values.get("application") or (host if port == inventories.HTTPS_PORT else f"{host}:{port}"))
        if name in self._names:
            hint = "give each a different name, or leave the column empty and use a label"
            message = f'the application "{name}" is already listed at {self._names[name]}'
            self._problems.append(problem("application", message, hint, place))
            return None
        self._names[name] = place
        element = self._fitting(row, place, _OF_APPLICATIONS | {"role"}, "an application")
        if element is not None:
            element.pop("role", None)
            element["name"] = name
            if isinstance(element.get("paths"), list):
                element["paths"] = [{"path": path} for path in element["paths"]]
        return element

    def _fitting(self, row: Row, place: str, keys: set[str], what: str) -> dict[str, Any] | None:
        element = {key: value for key, value in row.values.items() if key not in {"environment", "application"}}
        wrong = sorted(element.keys() - keys - _OF_BOTH)
        self._problems.extend(Problem(key, f"is nothing that {what} has", place=place) for key in wrong)
        return None if wrong else element
