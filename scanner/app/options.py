"""Options that several commands share, and how they become settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from scanner.app.lazy import EMPTY
from scanner.config.form_scan import DEFAULT_FAIL_ON, DEFAULT_PATH
from scanner.config.values import parse_duration
from scanner.errors import UsageError, nearest
from scanner.formats import FORMATS
from scanner.hostname import HostError, normalised_pattern
from scanner.inventory import StartTls
from scanner.judgement import Severity

TABLE_FORMATS = ("text", "json", "csv")
"""The forms of a table of the history."""
F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.ParamType[timedelta]):
    """A duration on the command line: "20", "20s", "2m"."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it; a bare number counts seconds."""
        try:
            duration: timedelta = parse_duration(float(value) if str(value).replace(".", "", 1).isdigit() else value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)
        if duration <= timedelta(0):
            self.fail(f"{value!r} should be greater than zero", param, ctx)
        return duration


class Since(click.ParamType[datetime]):
    """A day, or how long ago: "2026-11-01", "30d", "12h". Days begin at midnight UTC."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it as a moment in UTC."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            pass
        try:
            ago: timedelta = parse_duration(value)
            return datetime.now(UTC) - ago
        except (ValueError, TypeError, OverflowError):
            self.fail(f'{value!r} should be a day such as "2026-11-01", or a duration such as "30d"', param, ctx)


config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    show_default=True,
    help="The configuration.",
)
policy_option = click.option("--policy", "policy_name", metavar="P", help="Judge by this policy: an id, or a file.")
ca_file_option = click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PEM",
    help="Additional CAs to trust.",
)
deadline_option = click.option(
    "--deadline", type=Seconds(), metavar="S", help="Hard limit for each target, in seconds."
)
fail_on_option = click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    default=DEFAULT_FAIL_ON.value,
    show_default=True,
    help="Lowest severity of a failure that makes the exit status 1.",
)
no_intrusive_option = click.option(
    "--no-intrusive", is_flag=True, help="Leave out probes that look like attacks; their rules say so."
)


def view_options(*views: str) -> Callable[[Any], Any]:
    """Each view of what was observed as an option of its own, `--certificate` beside `--show certificate`."""

    def decorate(function: Any) -> Any:
        for view in reversed(views):
            help_text = f"The same as --show {view}; of several, the last counts."
            function = click.option(f"--{view}", "show", flag_value=view, help=help_text)(function)
        return function

    return decorate


def named(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A path that is not empty, as a variable of the shell that is not set makes it: that means no folder at all."""
    if value is not None and not value.strip():
        raise click.BadParameter(EMPTY, param=option)
    return value


output_option = click.option(
    "--output",
    "-o",
    callback=named,
    metavar="PATH",
    help='File, folder, pipe or device to write to; "-" is stdout.',
)
quiet_option = click.option(
    "--quiet", "-q", is_flag=True, help="Print only errors, and what --format or --output requests."
)
color_option = click.option("--no-color", is_flag=True, help="No colours (NO_COLOR does the same).")
connect_to_option = click.option(
    "--connect-to",
    "connect_to",
    multiple=True,
    metavar="HOST:PORT=IP:PORT",
    help="Connect there instead of asking the DNS. Repeatable.",
)

offline_option = click.option(
    "--offline", is_flag=True, help="Do not ask certificate authorities about revocation; the rule says so."
)


table_format_option = click.option(
    "--format", "-f", "format_name", type=click.Choice(TABLE_FORMATS), default="text", show_default=True, help="Form."
)
_FORMAT_HELP = "Separated by commas, or repeated. Default: by the suffix of --output."


class Formats(click.ParamType[tuple[str, ...]]):
    """Formats of reports, by commas: "html,json"."""

    name = "format"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002  # click's signature
        """Every format, as a choice shows them."""
        return f"[{'|'.join(FORMATS)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read them; a name that is none is answered with the nearest."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(","))
        for name in names:
            if name not in FORMATS:
                hint = nearest(name, FORMATS) or f"known are {', '.join(FORMATS)}"
                self.fail(f'"{name}" is not a format ({hint})', param, ctx)
        return names


def _flat(_: click.Context, __: click.Parameter, values: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in values for name in names))


format_option = click.option(
    "--format", "-f", "formats", multiple=True, type=Formats(), callback=_flat, help=_FORMAT_HELP
)
rule_option = click.option(
    "--rule", "rules", multiple=True, metavar="GLOB", help="Judge only by these rules. Repeatable."
)
skip_option = click.option(
    "--skip", "skipped", multiple=True, metavar="GLOB", help="Leave these rules out; reports say so. Repeatable."
)
fail_on_rule_option = click.option(
    "--fail-on-rule",
    "fail_on_rules",
    multiple=True,
    metavar="GLOB",
    help="Only failures of these rules, of whatever severity, make the exit status 1. Repeatable.",
)

starttls_option = click.option(
    "--starttls",
    type=click.Choice([item.value for item in StartTls]),
    help="STARTTLS protocol of TARGETs without a scheme: smtp means smtp://TARGET.",
)
sni_option = click.option("--sni", metavar="NAME", help="Ask TARGET under this name (server name, Host, certificate).")
file_option = click.option(
    "--file", "target_file", metavar="FILE", help='Take targets from here as well, one a line; "-" is stdin.'
)
proxy_option = click.option(
    "--proxy",
    metavar="URL",
    help='Connect only through this proxy: http:// or socks5://, or "env" for ALL_PROXY or HTTPS_PROXY.',
)
source_option = click.option("--source-address", metavar="IP", help="Connect from this address of this machine.")
helo_option = click.option("--helo", metavar="NAME", help="Greet mail servers with this name.")
header_option = click.option(
    "--header",
    "-H",
    "headers",
    multiple=True,
    metavar="NAME: VALUE",
    help='Header to send with HTTP requests, or "@FILE" with one a line.',
)
client_cert_option = click.option(
    "--client-cert",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PEM",
    help="Present this client certificate to servers that ask for one.",
)
client_key_option = click.option(
    "--client-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PEM",
    help="The key of --client-cert, if that file does not contain it.",
)
resolver_option = click.option(
    "--resolver", metavar="IP[:PORT]", help="Ask this name server instead of the system's resolver."
)


def parse_connect_to(entries: tuple[str, ...]) -> dict[str, list[str]]:
    """Read `--connect-to`; several entries for one name give it several addresses.

    Raises:
        UsageError: an entry has another form.
    """
    result: dict[str, list[str]] = {}
    for entry in entries:
        source, separator, target = entry.partition("=")
        if not separator or not source.rpartition(":")[2].isdecimal() or not target.rpartition(":")[2].isdecimal():
            raise UsageError(f'--connect-to "{entry}": should be HOST:PORT=IP:PORT')
        try:
            result.setdefault(normalised_pattern(source), []).append(target)
        except HostError as error:
            raise UsageError(f'--connect-to "{entry}": {error}') from error
    return result
