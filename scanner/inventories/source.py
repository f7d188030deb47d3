"""What a source of hosts gives: rows, and what was left out of it; and how it is read without trusting it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct, field, structs

from scanner.confidential import keep_login
from scanner.counting import counted
from scanner.errors import ConfigError, Problem
from scanner.hostname import HostError, normalised
from scanner.inventory import Role, StartTls
from scanner.untrusted import printable

MOST_BYTES: Final = 64 << 20
"""Of a file; a hundred thousand hosts with owners and labels take a tenth of it."""
MOST_ROWS: Final = 100_000
MOST_TOLD: Final = 20
"""Problems of one file; whoever has more has made one mistake in many rows."""
_EXAMPLES: Final = 3
HTTPS_PORT: Final = 443


class Mention(NamedTuple):
    """Where something is said: a file, and the line in it or what of it is meant."""

    name: str
    line: int = 0
    part: str = ""

    def __str__(self) -> str:
        return located(*self)


class Row(Struct, frozen=True):
    """One host of a source.

    `values` has the keys of an endpoint or application as config.toml spells them, and besides them `application`, the
    name of one, and `environment`. `line` counts from 1; it is 0 where the form of the source has no lines, or its
    parser does not say them. `part` is what of the source says it, in words, where that can be told. `said` names the
    places of what another source says, by the ways to it.
    """

    values: Mapping[str, Any]
    line: int = 0
    part: str = ""
    said: Mapping[tuple[str, ...], Mention] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """As the source writes it."""
        return str(self.values.get("host", ""))

    @property
    def place(self) -> tuple[str, int]:
        """Host and port in one spelling, as far as they are a host and a port."""
        return self.place_at(None)

    def place_at(self, usual: int | None) -> tuple[str, int]:
        """The same where what names no port is at a usual one, which is that of HTTPS by default."""
        port = str(self.values.get("port", usual or HTTPS_PORT))
        try:
            return normalised(self.host), int(port) if port.isdecimal() else 0
        except HostError:
            return self.host, 0


class LeftOut(NamedTuple):
    """A kind of thing that a source names and that is no endpoint."""

    one: str
    many: str | None
    why: str

    def counted(self, number: int) -> str:
        """So many of them: `1 listener without TLS`."""
        return f"{counted(number, self.one, self.many)} {self.why}".rstrip()


class Contents(Struct):
    """What a source gave.

    `left_out` counts what it names and is no endpoint, by the reason, with a few examples; `assumed` the hosts that are
    taken at the port of HTTPS though the source does not say that TLS is there. `problems` are those of its
    bad rows, which are not among the others: whoever reads it goes on with these, so that all that is wrong is told at
    once, and then takes nothing. `part` is what is being read of it, in words.
    """

    name: str
    part: str = ""
    rows: list[Row] = field(default_factory=list)
    left_out: dict[LeftOut, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    assumed: dict[LeftOut, tuple[int, tuple[str, ...]]] = field(default_factory=dict)

    def add(self, values: Mapping[str, Any], line: int = 0) -> None:
        """Add a row.

        Raises:
            ConfigError: there are too many.
        """
        if len(self.rows) >= MOST_ROWS:
            hint = "split it, or leave out what is not to be scanned"
            raise refused(self.name, f"has more than {MOST_ROWS} hosts", line, hint)
        keep_login(str(values.get("host", "")))
        self.rows.append(Row(values, line, self.part))

    def leave_out(self, noun: str | tuple[str, str], why: str, what: object) -> None:
        """Count something that is no endpoint, by its noun (and the plural where it is irregular) and what it lacks."""
        one, many = (noun, None) if isinstance(noun, str) else noun
        _count(self.left_out, LeftOut(one, many, why), what)

    def assume(self, noun: str, why: str, what: object) -> None:
        """Count a host that is taken at the port of HTTPS, by what leaves it open whether TLS is there."""
        _count(self.assumed, LeftOut(noun, None, why), what)

    @property
    def remarks(self) -> Iterator[str]:
        """What was left out of it, and what was assumed, a line each."""
        for start, counts in (
            ("left out", self.left_out),
            ("taken at 443, though nothing says that TLS is there", self.assumed),
        ):
            for reason, (count, examples) in counts.items():
                shown = ", ".join(examples) + (", …" if count > len(examples) else "")
                yield f"{start}: {reason.counted(count)}: {shown}"

    def once(self) -> Contents:
        """The same without repetitions, for sources that name a host as often as they saw it."""
        seen: dict[tuple[object, ...], Row] = {}
        for row in self.rows:
            seen.setdefault((*row.place, row.values.get("role"), row.values.get("application")), row)
        return structs.replace(self, rows=list(seen.values()))


def _count(counts: dict[LeftOut, tuple[int, tuple[str, ...]]], reason: LeftOut, what: object) -> None:
    keep_login(str(what))
    count, examples = counts.get(reason, (0, ()))
    if len(examples) < _EXAMPLES:
        examples = (*examples, printable(str(what), 80))
    counts[reason] = (count + 1, examples)


class Options(Struct, frozen=True):
    """How a source is read.

    `columns` says which column of a table holds which key, where the table has names of its own; all other columns
    count for nothing then. `origin` is the domain that relative names of a zone are under. `sheet` is that of a
    workbook, the first by default. `all_ports` takes ports too that are not known to speak TLS.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None
    sheet: str | None = None
    all_ports: bool = False


class KnownService(Struct, frozen=True):
    """What is usually behind a port."""

    role: Role
    starttls: StartTls | None = None


_TLS: Final = KnownService(Role.SERVER)
WEB: Final = KnownService(Role.APPLICATION)
KNOWN_PORTS: Final[Mapping[int, KnownService]] = {
    **dict.fromkeys((443, 4443, 5443, 6443, 7443, 8443, 9443, 10443), WEB),
    **dict.fromkeys((853, 992, 994, 5061, 5671, 8883), _TLS),
    **{port: _TLS for protocol in StartTls for port in protocol.tls_ports},
    **{port: KnownService(Role.SERVER, protocol) for protocol in StartTls for port in protocol.ports},
}
"""Ports at which TLS is spoken or can be asked for, by IANA's registry and by use."""


def endpoint(host: str, port: int | None = None, service: KnownService | None = None) -> dict[str, Any]:
    """The keys of an endpoint: what its port is known for is said where nobody says it."""
    values: dict[str, Any] = {"host": host}
    if port is not None:
        values["port"] = port
    known = service or KNOWN_PORTS.get(port or HTTPS_PORT)
    if known is not None and known.role is not Role.APPLICATION:
        values["role"] = known.role.value
    if known is not None and known.starttls is not None:
        values["starttls"] = known.starttls.value
    return values


def add_name(contents: Contents, name: str, *, line: int = 0, **more: Any) -> None:
    """Add the host of a name that somebody wrote down somewhere, or say why it is none."""
    name = _bare(name)
    if "*" in name:
        contents.leave_out("wildcard", "in place of a host name", name)
    elif _is_record(name):
        contents.leave_out("name", "of a record, not of a host", name)
    elif not is_host(name):
        contents.leave_out(("entry", "entries"), "in place of a host name", _of(contents, name))
    else:
        contents.add({**endpoint(normalised(name)), **more}, line)


def is_host(name: str) -> bool:
    """Whether a name that somebody wrote down somewhere is a host's."""
    name = _bare(name)
    try:
        normalised(name)
    except HostError:
        return False
    return "*" not in name and not _is_record(name)


def _bare(name: str) -> str:
    return name.strip().rstrip(".")


def _is_record(name: str) -> bool:
    return any(label.startswith("_") for label in name.split("."))


def add_open_port(contents: Contents, host: str, port: int, options: Options, *, tls: bool = False) -> None:
    """Add a port that a scanner found open, if TLS may be spoken there."""
    if not (tls or options.all_ports or port in KNOWN_PORTS):
        contents.leave_out("open port", "not known for TLS (all of them: --all-ports)", f"{host}:{port}")
        return
    try:
        host = normalised(host)
    except HostError:
        contents.leave_out(("entry", "entries"), "in place of a host name", _of(contents, host))
        return
    service = KNOWN_PORTS.get(port)
    contents.add(endpoint(host, port, KnownService(service.role) if tls and service else service))


def _of(contents: Contents, said: str) -> str:
    return f"{contents.part}: {said}" if contents.part else said


def read_bytes(path: Path) -> bytes:
    """The bytes of a source.

    Raises:
        ConfigError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise refused(str(path), f"cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise refused(str(path), f"is larger than {MOST_BYTES >> 20} MiB, so it is not a list of hosts")
    return data


def text_of(name: str, data: bytes) -> str:
    """The text of a source, which is UTF-8 with or without a byte order mark.

    Raises:
        ConfigError: it is not.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refused(name, "is UTF-16", 1, "save it as UTF-8; Excel calls that “CSV UTF-8”")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise refused(name, "is not UTF-8", line, "save it as UTF-8; Excel calls that “CSV UTF-8”") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise refused(name, "holds a zero byte, so it is not text", line)
    return text


def located(name: str, line: int, part: str = "") -> str:
    """A file and a line in it, where there is one, or else what of it is meant."""
    if line:
        return f"{name}:{line}"
    return f"{name}: {printable(part, 120)}" if part else name


def refused(name: str, message: str, line: int = 0, hint: str | None = None, *, part: str = "") -> ConfigError:
    """The error that a source cannot be used."""
    return ConfigError(name, [problem("", message, hint, located(name, line, part))])


def problem(key: str, message: str, hint: str | None = None, place: str = "") -> Problem:
    """A problem whose message quotes a source, of which nobody knows what is in it."""
    return Problem(key, printable(message, 300), hint, place)


def raise_all(name: str, problems: Iterable[Problem]) -> None:
    """Raise all that is wrong with a source, if anything is."""
    found = list(problems)
    if found:
        raise ConfigError(name, found)


def told_of(name: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """What is told of all that is wrong in a file of hosts: the first of many, by line, and how many more there are."""
    found = sorted(problems, key=lambda item: int(line) if (line := item.place.rpartition(":")[2]).isdecimal() else 0)
    yield from found[:MOST_TOLD]
    if len(found) > MOST_TOLD:
        yield Problem("", f"and {len(found) - MOST_TOLD} more", place=name)
