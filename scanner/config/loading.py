"""Reads config.toml: checks its form and its sense, and gives the inventory and the settings as frozen values.

Every problem is reported at once, with the file, the dotted path of the key and the nearest key that exists.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import os
import zoneinfo
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from pydantic import ValidationError

from scanner import confidential
from scanner.config.defaults import inherited
from scanner.config.estate import ConfigPart, environment_of, host_of
from scanner.config.files import ConfigFile, ConfigFiles, clean, read_files, read_text
from scanner.config.form import ConfigForm, NotifyForm, ScheduleForm
from scanner.config.form_scan import ScanForm
from scanner.config.inventories import Inventories, with_inventories, with_rows
from scanner.config.variables import expand, is_unset
from scanner.counting import counted
from scanner.errors import ConfigError, Problem, nearest
from scanner.hostname import HostError, normalised_pattern
from scanner.inventories import Contents, Row, told_of
from scanner.inventory import Environment, Inventory, InventorySource, Untaken, address_of
from scanner.validation import problems_of
from scanner.waiver import Waiver, scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

_HOSTS = frozenset({"endpoint", "application"})


class Config(Struct, frozen=True):
    """A checked configuration. Paths in it are relative to `folder`, where the file lies.

    `text` is the file's, without a byte order mark and with the ends of lines that Unix has, so that an editor changes
    nothing; where it includes others, a bundle of all. `digest` is its SHA-256, with that of each inventory.
    `read_from` are the files; `warnings` are what is allowed but says less than holds, `notes` what inventories leave
    out.
    """

    source: str
    folder: Path
    text: str
    digest: str
    form: ConfigForm
    inventory: Inventory
    waivers: tuple[Waiver, ...]
    read_from: ConfigFiles
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The paths of the files that it was read from, inventories included."""
        return tuple(map(Path, self.read_from.paths))

    def placed(self, problems: Iterable[Problem]) -> list[Problem]:
        """Problems with the file and line of their keys."""
        return [self.read_from.named(problem) for problem in problems]

    @property
    def scan(self) -> ScanForm:
        """How targets are scanned."""
        return self.form.scan

    @property
    def schedules(self) -> tuple[ScheduleForm, ...]:
        """When scans run by themselves."""
        return tuple(self.form.schedule)

    @property
    def receivers(self) -> tuple[NotifyForm, ...]:
        """Who is told."""
        return tuple(self.form.notify)

    def resolve(self, path: str) -> str:
        """A path of the file, seen from the working folder; an object-store URL as it is."""
        return path if "://" in path else str(self.folder / path)


def load(path: Path, *, environ: Mapping[str, str] | None = None, unset: Collection[str] = ()) -> Config:
    """Read and check a configuration file.

    Args:
        path: the file.
        environ: where "${NAME}" is looked up; the process's environment by default.
        unset: the tables in which it may be missing, and then stays as it is.

    Raises:
        ConfigError: it cannot be read, is not TOML, or does not make sense; lists every problem.
    """
    return parse(read_text(path), source=str(path), folder=path.parent, environ=environ, unset=unset)


def parse(  # noqa: PLR0913  # each says of the text what is not in it
    text: str,
    *,
    source: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    unset: Collection[str] = (),
    today: date | None = None,
) -> Config:
    """Check the text of a configuration, as of a day. Raises what `load` raises."""
    files = read_files(clean(text), source, folder)
    problems: list[Problem] = []
    raw = expand(files.raw, os.environ if environ is None else environ, "", problems)
    _refuse(files, (item for item in problems if item.key.partition("[")[0].partition(".")[0] not in unset))
    return parse_files(dataclasses.replace(files, raw=raw), folder, today)


def parse_files(files: ConfigFiles, folder: Path, today: date | None = None) -> Config:
    """Check what files say that were read and put together. Raises what `load` raises."""
    problems: list[Problem] = []
    added = with_inventories(files.raw, folder, problems)
    return _checked(_grown(files, added), folder, added, problems, today)


def parse_rows(
    raw: dict[str, Any],
    contents: Sequence[Contents],
    environment_of: Callable[[Row], str],
    *,
    source: str,
    problems: Sequence[Problem] = (),
) -> Config:
    """Check rows of inventories as a configuration of their own, whose environments `raw` names.

    `problems` are those of files of which there are no rows: they are told with the others.

    Raises:
        ConfigError: they do not make sense; lists every problem with the file and line of its row.
    """
    found = list(problems)
    added = with_rows(raw, contents, environment_of, found)
    files = ConfigFiles((ConfigFile(source, "", {}),), raw, {})
    return _checked(_grown(files, added), Path(), added, found, None)


def _grown(files: ConfigFiles, added: Inventories) -> ConfigFiles:
    """The files with the rows that inventories add."""
    origins = {**files.origins, **added.origins}
    return dataclasses.replace(files, raw=added.raw, origins=origins, inventories=tuple(added.files.values()))


def _checked(
    files: ConfigFiles, folder: Path, added: Inventories, problems: list[Problem], today: date | None
) -> Config:
    defaults: list[Problem] = []
    files = dataclasses.replace(files, raw=inherited(files.raw, defaults))
    if defaults:
        # What lacks its defaults lacks more than is wrong.
        _refuse(files, [*problems, *defaults])
    form, files = _form(files, problems)
    for address in (*(item.url for item in form.notify), *filter(None, [form.scan.proxy])):
        if not is_unset(address):
            confidential.keep_parts(address)
    warnings = list(files.warnings)
    environments = tuple(
        dataclasses.replace(
            environment_of(item, position, folder, problems, warnings), sources=tuple(added.sources.get(item.name, ()))
        )
        for position, item in enumerate(form.environment)
    )
    warnings += (_not_taken(item) for item in added.untaken)
    warnings += (_unexpected(item, key) for item in environments for key in item.sources if not key.as_expected)
    hosts = frozenset(endpoint.host for item in environments for endpoint in item.endpoints if not endpoint.is_file)
    environments = tuple(dataclasses.replace(item, known_hosts=hosts) for item in environments)
    _check_names(form, problems)
    _check_references(form, problems)
    _check_owners(form, problems)
    _check_connect_to(form.scan, problems)
    _check_waivers(form, problems, today or datetime.now(UTC).date())
    _refuse(files, problems)
    connect_to = {normalised_pattern(name): addresses for name, addresses in form.scan.connect_to.items()}
    form = form.model_copy(update={"scan": form.scan.model_copy(update={"connect_to": connect_to})})
    return Config(
        source=files.files[0].path,
        folder=folder,
        text=files.text,
        digest=hashlib.sha256("".join((files.text, *added.digests)).encode()).hexdigest(),
        form=form,
        inventory=Inventory(environments, added.untaken),
        waivers=tuple(Waiver(w.rule, w.scope, w.reason, w.owner, w.expires, w.until_worse) for w in form.waiver),
        read_from=files,
        warnings=tuple(map(files.named, warnings)),
        notes=tuple(dict.fromkeys(added.notes)),
    )


def _form(files: ConfigFiles, problems: list[Problem]) -> tuple[ConfigForm, ConfigFiles]:
    """The form of a configuration: without the hosts that are not of it, which are added to `problems`.

    So what is wrong with the sense of the others is told with them.

    Raises:
        ConfigError: something else is not of the form.
    """
    try:
        return ConfigForm.model_validate(files.raw), files
    except ValidationError as error:
        found = problems_of(error, ConfigForm, files.raw)
        problems += map(files.named, found)
        elements = {item.location[:4] for item in found}
        if not all(len(way) == 4 and way[0] == "environment" and way[2] in _HOSTS for way in elements):  # noqa: PLR2004  # environment, its number, a list of it, the number there
            _refuse(files, problems)
            raise
        files = files.without(elements)
    try:
        return ConfigForm.model_validate(files.raw), files
    except ValidationError:
        _refuse(files, problems)
        raise


def _not_taken(item: Untaken) -> Problem:
    said = f'is in the environment "{item.environment}"' if item.environment else "is in no environment"
    return Problem("", f"{address_of(item.host, item.port)} {said}, which does not read this file", place=item.place)


def _unexpected(environment: Environment, source: InventorySource) -> Problem:
    key = f"environment[{environment.name}].inventory[{source.name}].expected_count"
    return Problem(key, f"is {source.expected}, and the file has {counted(source.hosts, 'host')} of this environment")


def _refuse(files: ConfigFiles, problems: Iterable[Problem]) -> None:
    """Raise all that is wrong, each once; of a file of hosts, which may be wrong in every row, the first of many."""
    found = list(dict.fromkeys(map(files.named, problems)))
    if not found:
        return
    inventories = {item.path: list[Problem]() for item in files.inventories}
    others = list[Problem]()
    for item in found:
        path = item.place if item.place in inventories else item.place.rpartition(":")[0]
        inventories.get(path, others).append(item)
    told = (item for path, those in inventories.items() for item in told_of(path, _each_once(those)))
    raise ConfigError(files.files[0].path, [*others, *told])


def _each_once(problems: Iterable[Problem]) -> list[Problem]:
    """The problems of a file of hosts, of which several environments may take the same row: each of them once."""
    found = dict[tuple[str, ...], Problem]()
    for item in problems:
        found.setdefault((item.place, item.key.partition("].")[2], item.message), item)
    return list(found.values())


def _check_names(form: ConfigForm, problems: list[Problem]) -> None:
    names: list[tuple[str, Iterable[str]]] = [
        ("environment", (item.name for item in form.environment)),
        ("schedule", (item.name for item in form.schedule)),
        ("notify", (item.name for item in form.notify)),
        ("owner", (item.name for item in form.owner)),
    ]
    names += [(f"environment[{e.name}].application", (a.name for a in e.application)) for e in form.environment]
    for key, values in names:
        problems.extend(
            Problem(key, f'the name "{name}" is given {times} times; it must be unique')
            for name, times in Counter(values).items()
            if times > 1
        )


def _is_time_zone(name: str) -> bool:
    """Whether it is one of `zoneinfo.available_timezones()`, to list which hundreds of files are opened."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return name != "posixrules" and not name.startswith(("posix/", "right/"))


def _check_references(form: ConfigForm, problems: list[Problem]) -> None:
    environments = [item.name for item in form.environment]
    receivers = [item.name for item in form.notify]
    for schedule in form.schedule:
        key = f"schedule[{schedule.name}]"
        problems.extend(
            Problem(f"{key}.environments", f'there is no environment "{name}"', nearest(name, environments))
            for name in schedule.environments
            if not any(character in name for character in "*?[") and name not in environments
        )
        problems.extend(
            Problem(f"{key}.notify", f'there is no [[notify]] "{name}"', nearest(name, receivers))
            for name in schedule.notify
            if name not in receivers
        )
        if not _is_time_zone(schedule.timezone):
            hint = nearest(schedule.timezone, zoneinfo.available_timezones())
            problems.append(Problem(f"{key}.timezone", f'there is no time zone "{schedule.timezone}"', hint))


def _check_owners(form: ConfigForm, problems: list[Problem]) -> None:
    receivers = [item.name for item in form.notify]
    for owner in form.owner:
        problems.extend(
            Problem(f"owner[{owner.name}].notify", f'there is no [[notify]] "{name}"', nearest(name, receivers))
            for name in owner.notify
            if name not in receivers
        )
    if not form.owner:
        return
    known = [item.name for item in form.owner]
    for position, environment in enumerate(form.environment):
        part = ConfigPart(f"environment[{environment.name}]", ("environment", position))
        owned: list[tuple[ConfigPart, str | None]] = [(part, environment.owner)]
        owned += [
            (part.element("endpoint", index, f"{item.host}:{item.port}"), item.owner)
            for index, item in enumerate(environment.endpoint)
        ]
        owned += [
            (part.element("application", index, item.name), item.owner)
            for index, item in enumerate(environment.application)
        ]
        problems.extend(
            place.problem("owner", f'there is no [[owner]] "{name}"', nearest(name, known))
            for place, name in owned
            if name is not None and name not in known
        )


def _check_waivers(form: ConfigForm, problems: list[Problem], today: date) -> None:
    """No failure is accepted for ever: whoever accepts it has to look again after a year."""
    most = form.nightseal.waiver_days
    for index, waiver in enumerate(form.waiver, 1):
        days = (waiver.expires - today).days
        if days > most:
            last = today + timedelta(days=most)
            hint = f"{last} is the latest date that is accepted; [nightseal] waiver_days allows more"
            problems.append(Problem(f"waiver[{index}].expires", f"is {days} days away, and {most} are allowed", hint))
        try:
            scope_of(waiver.scope)
        except HostError as error:
            problems.append(Problem(f"waiver[{index}].scope", f'"{waiver.scope}" {error}', error.hint))


def _check_connect_to(scan: ScanForm, problems: list[Problem]) -> None:
    for source, targets in scan.connect_to.items():
        host, _, port = source.rpartition(":")
        if not host or not port.isdecimal():
            problems.append(Problem(f'scan.connect_to."{source}"', 'should be "host:port"'))
        else:
            host_of(host, f'scan.connect_to."{source}"', problems)
        for target in targets:
            address, _, port = target.rpartition(":")
            try:
                ipaddress.ip_address(address.strip("[]"))
                valid = port.isdecimal() and 0 < int(port) <= 65535  # noqa: PLR2004  # the range of ports
            except ValueError:
                valid = False
            if not valid:
                problems.append(Problem(f'scan.connect_to."{source}"', f'should hold "ip:port", not {target!r}'))
