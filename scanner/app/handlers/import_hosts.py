"""`nightseal import FILE…`: configuration from what others know of our hosts."""

from __future__ import annotations

import dataclasses
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from scanner import inventories
from scanner.confidential import without
from scanner.config import loading as configuration
from scanner.config.loading import Config
from scanner.counting import counted
from scanner.errors import ConfigError, OutputError, Problem, UsageError, nearest
from scanner.formats import load
from scanner.inventories import Contents, Options, Row
from scanner.inventories.comparison import CHANGED, GONE, NEW, Difference, differences
from scanner.inventories.repetitions import joined, only_of
from scanner.inventories.writing import to_csv, to_toml
from scanner.inventory import EnvironmentKind, Inventory
from scanner.jobs.destinations import descriptor_of, put

NAME_OF_NONE = "imported"
"""The environment of hosts of which nothing says where they are."""
_MOST_NAMED = 10
_SIGNS = {NEW: "+", GONE: "-", CHANGED: "~"}


def import_hosts(  # noqa: PLR0913, PLR0917  # one for each option
    sources: tuple[str, ...],
    form: str | None,
    to: str | None,
    output: str | None,
    environment: str | None,
    kind: str | None,
    columns: tuple[str, ...],
    sheet: str | None,
    origin: str | None,
    expand: int | None,
    config_path: Path,
    *,
    replace: bool,
    diff: bool,
    all_ports: bool,
) -> None:
    """Write configuration from files that name hosts, to be read first; nothing is scanned."""
    options = Options(_columns(columns), origin, sheet, all_ports)
    target = Path(output) if output not in {None, "-"} else None
    if diff and output is not None:
        raise UsageError("--diff writes nothing: leave out --output")
    _check_target(target, replace=replace)
    if expand is not None and len(sources) > 1:
        raise UsageError("--expand counts the hosts of one file; import the files one by one")
    problems: list[Problem] = []
    found = list(_read_all(sources, options, form, expand, problems))
    if environment is not None:
        _check_named(found, environment)
        found = [only_of(item, environment) for item in found]
    known = _configured(config_path, required=diff)
    if diff and known is not None and environment is not None:
        _check_environment(known, environment)
    names = _Names(found, known, environment, apart=diff)
    found = joined(found, names.of)
    wrong = bool(problems) or any(item.problems for item in found)
    for item in found if not wrong else ():
        _tell(item)
    if not wrong and not any(item.rows for item in found):
        raise ConfigError(found[0].name, [Problem("", "names no host that could be scanned")])
    checked = _checked(found, names.of, kind, known, problems, inherits=diff)
    if diff and known is not None:
        _show(found, checked, known.inventory, names.none)
        return
    written = list(_environments(checked, known))
    form_to = to or ("csv" if target is not None and target.suffix.lower() == ".csv" else "toml")
    text = to_csv(written) if form_to == "csv" else to_toml(written, _remarks(found, target))
    if target is None:
        click.echo(text, nl=False)
        return
    put(target, text.encode())
    click.echo(f"Wrote {target}: {_counts(checked)}. {_next(target, form_to, known)}", err=True)


def _check_target(target: Path | None, *, replace: bool) -> None:
    if target is None:
        return
    if target.is_dir():
        raise OutputError(f"{target} is a directory: name a file in it")
    if target.is_file() and not replace and descriptor_of(target) is None:
        raise UsageError(
            f"{target} exists already and is not overwritten (--replace overwrites it, --diff shows what would change)"
        )
    if not target.parent.is_dir():
        raise OutputError(f"{target.parent} is not a directory")


def _columns(entries: Sequence[str]) -> Mapping[str, str]:
    found = {}
    for entry in entries:
        key, sign, name = entry.partition("=")
        if not sign or not key or not name:
            raise UsageError(f'--column "{entry}": should be KEY=NAME, such as host=FQDN')
        found[key.strip()] = name.strip()
    return found


def _read_all(
    sources: Sequence[str], options: Options, form: str | None, expand: int | None, problems: list[Problem]
) -> Iterator[Contents]:
    """What can be read of the files; why others cannot be is added to `problems`."""
    for source in sources:
        try:
            found = _read(source, options, form)
        except ConfigError as error:
            problems += (dataclasses.replace(item, place=item.place or error.source) for item in error.problems)
            continue
        yield inventories.expanded(found, agreed=expand, how="--expand {count} takes them")


def _read(source: str, options: Options, form: str | None) -> Contents:
    if source.startswith("axfr://"):
        return _transferred(source)
    if source == "-":
        if form is None:
            raise UsageError("stdin has no file name to determine the format by: name it with --from")
        data = sys.stdin.buffer.read(inventories.MOST_BYTES + 1)
        if len(data) > inventories.MOST_BYTES:
            raise UsageError(f"stdin gave more than {inventories.MOST_BYTES >> 20} MiB, so it is not a list of hosts")
        return inventories.read("stdin", data, options, form)
    return inventories.read(source, inventories.read_bytes(Path(source)), options, form)


def _transferred(source: str) -> Contents:
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise UsageError(f'"{source}": should be axfr://SERVER/ZONE ({error})') from error
    zone = parts.path.removeprefix("/").removesuffix("/")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise UsageError(f'"{source}": the port must be a number from 1 to 65535')
    if not parts.hostname or not zone:
        raise UsageError(f'"{source}": should be axfr://SERVER/ZONE')
    found: Contents = load("scanner.inventories.zone:transferred")(parts.hostname, zone, port=port or 53)
    return found


def _check_named(found: Sequence[Contents], environment: str) -> None:
    """See that some row is of the chosen environment, where all of them name one."""
    rows = [row for item in found for row in item.rows]
    named = dict.fromkeys(str(row.values.get("environment", environment)) for row in rows)
    if rows and environment.casefold() not in {name.casefold() for name in named}:
        others = list(named)
        hint = nearest(environment, others) or f"they are of {', '.join(others[:_MOST_NAMED])}"
        raise UsageError(f'no row belongs to the environment "{environment}" ({hint})')


class _Names:
    """Which environment each row is of, as the configuration or else the first row that names it spells it.

    `none` is that of the rows that name none: `apart` says that it must be no other's. It is None where `environment`
    was chosen, of which all rows are then.
    """

    def __init__(
        self, found: Sequence[Contents], known: Config | None, environment: str | None, *, apart: bool
    ) -> None:
        configured = [item.name for item in known.inventory.environments] if known else []
        named = (str(row.values["environment"]) for item in found for row in item.rows if "environment" in row.values)
        self._spelling: dict[str, str] = {}
        for name in (*configured, *named):
            self._spelling.setdefault(name.casefold(), name)
        self._chosen = environment
        none = NAME_OF_NONE
        while apart and none in self._spelling:
            none += "-"
        self._none = none
        self.none = none if environment is None else None

    def of(self, row: Row) -> str:
        """The environment of a row."""
        name = self._chosen or str(row.values.get("environment", self._none))
        return name if self._chosen else self._spelling.get(name.casefold(), name)


def _tell(contents: Contents) -> None:
    click.echo(f"{contents.name}: {counted(len(contents.rows), 'host')}", err=True)
    for remark in contents.remarks:
        click.echo(without(f"  {remark}"), err=True)


def _configured(path: Path, *, required: bool) -> Config | None:
    """The configuration, where there is one: it says which environments there are.

    What is to be written may be what it lacks, so one that can't be used stops nothing that does not compare with it.
    """
    if not path.is_file() and not required:
        return None
    try:
        return configuration.load(path, unset=("notify",))
    except ConfigError:
        if required:
            raise
        what = "what is written does not follow its environments (nightseal config check tells why)"
        click.echo(f"{path}: warning: it can't be used as it is, so {what}", err=True)
        return None


def _check_environment(known: Config, name: str) -> None:
    names = [item.name for item in known.inventory.environments]
    if name not in names:
        hint = nearest(name, names) or f"it has: {', '.join(names) or 'none'}"
        raise UsageError(f'{known.source} has no environment "{name}" to compare with ({hint})')


def _checked(  # noqa: PLR0913  # what was read, where it belongs, and what is wrong with it already
    found: Sequence[Contents],
    of: Callable[[Row], str],
    kind: str | None,
    known: Config | None,
    problems: Sequence[Problem],
    *,
    inherits: bool,
) -> Config:
    """All rows as a configuration of their own, checked as one; compared, they inherit as in the configuration."""
    kinds = {item.name: item.kind for item in known.inventory.environments} if known else {}
    names = dict.fromkeys(of(row) for item in found for row in item.rows)
    raw: dict[str, Any] = {
        "environment": [
            {"name": name, "kind": kind or kinds.get(name, EnvironmentKind.ON_PREMISES).value} for name in names
        ]
    }
    if inherits and known is not None:
        raw |= _inherited(known.read_from.raw, raw["environment"])
    source = found[0].name if found else problems[0].place
    return configuration.parse_rows(raw, found, of, source=source, problems=problems)


def _inherited(configured: Mapping[str, Any], environments: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The same environments with the defaults that a configuration has for them."""
    own = {item["name"]: item["defaults"] for item in configured.get("environment", ()) if "defaults" in item}
    result: dict[str, Any] = {"defaults": configured["defaults"]} if "defaults" in configured else {}
    result["environment"] = [
        {**item, "defaults": own[item["name"]]} if item["name"] in own else item for item in environments
    ]
    return result


def _environments(checked: Config, known: Config | None) -> Iterator[Mapping[str, Any]]:
    """The environments as the file says them; the kind of one that the configuration has is said there.

    The port of HTTPS goes without saying where no defaults have another.
    """
    there = {item.name: item for item in known.form.environment} if known else {}
    for form in checked.form.environment:
        values = form.model_dump(mode="json", exclude_unset=True, by_alias=True)
        said = {key: value for key, value in values.items() if value != [] and key != "defaults"}
        own = there.get(form.name)
        if known is None or (known.form.defaults.port is None and (own is None or own.defaults.port is None)):
            for element in (*said.get("endpoint", ()), *said.get("application", ())):
                if element.get("port") == inventories.HTTPS_PORT:
                    del element["port"]
        yield {key: value for key, value in said.items() if key != "kind" or own is None}


def _remarks(found: Sequence[Contents], target: Path | None) -> Iterator[str]:
    yield f"Written by `nightseal import` from {', '.join(item.name for item in found)}."
    place = target.name if target else "this.toml"
    yield f'Review it, remove what is not yours, and include it in config.toml: include = ["{place}"]'


def _counts(checked: Config) -> str:
    applications = sum(len(item.applications) for item in checked.inventory.endpoints)
    parts = [counted(len(checked.inventory.endpoints), "endpoint")]
    parts += [counted(applications, "application")] if applications else []
    return f"{', '.join(parts)} in {counted(len(checked.inventory.environments), 'environment')}"


def _next(target: Path, form: str, known: Config | None) -> str:
    if known is not None and target.resolve() in {path.resolve() for path in known.files}:
        return "The configuration reads it already: nightseal config check"
    if form == "csv":
        return f'Read it, then name it in an environment: [[environment.inventory]] from = "{target}"'
    return f'Read it, then include it: include = ["{target}"]'


def _show(found: Sequence[Contents], checked: Config, configured: Inventory, none: str | None) -> None:
    rows = [row.values for item in found for row in item.rows]
    said = frozenset(key for values in rows for key in values)
    of_applications = defaultdict[str, set[str]](set)
    for values in rows:
        if "application" in values:
            of_applications[str(values["application"])] |= values.keys()
    shown = differences(checked.inventory, configured, said=said, none=none, of_applications=of_applications)
    for item in shown:
        details = f": {'; '.join(item.details)}" if item.details else ""
        click.echo(f"{_SIGNS[item.kind]} {item.endpoint}{details}")
    click.echo(_summary(shown, len(checked.inventory.endpoints)), err=True)


def _summary(shown: Sequence[Difference], total: int) -> str:
    counts = {kind: sum(item.kind == kind for item in shown) for kind in (NEW, GONE, CHANGED)}
    same = total - counts[NEW] - counts[CHANGED]
    return f"{counts[NEW]} new, {counts[GONE]} gone, {counts[CHANGED]} changed, {same} the same"
