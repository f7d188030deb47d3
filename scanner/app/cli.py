"""`nightseal`: the table of commands, loaded one by one as they are called, and the one place where errors end.

`nightseal --help` must answer at once, so this module imports no engine: a command's module is imported when the
command runs, and the summaries in the table stand for their docstrings (a test holds the two together).
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from typing import Any

import click
from msgspec import Struct

import scanner
from scanner import inherited
from scanner.app.process import have_home, outlive_readers, without_plugins
from scanner.confidential import HidingFormatter, without
from scanner.errors import ExitStatus, Interrupted, NightsealError, nearest
from scanner.loading import everything_kept


class CommandEntry(Struct, frozen=True):
    """Where a command lives, and its summary in the list of commands."""

    module: str
    summary: str


COMMANDS: dict[str, CommandEntry] = {
    "scan": CommandEntry("scanner.app.commands.scan", "Scan hosts now and print what was found."),
    "clients": CommandEntry(
        "scanner.app.commands.clients", "Show which clients connect, and which ones a change would cut off."
    ),
    "run": CommandEntry(
        "scanner.app.commands.run", "Scan what is configured, keep it in the history, write the reports."
    ),
    "daemon": CommandEntry("scanner.app.commands.daemon", "Run the configured schedules until told to stop."),
    "worker": CommandEntry(
        "scanner.app.commands.worker", "Probe the targets of a zone for runs elsewhere, until told to stop."
    ),
    "cluster": CommandEntry("scanner.app.commands.cluster", "Create the certificates and users of a fleet."),
    "notify": CommandEntry("scanner.app.commands.notify", "Try the receivers of notifications."),
    "report": CommandEntry("scanner.app.commands.report", "Render a run of the history again, without network."),
    "verify": CommandEntry(
        "scanner.app.commands.verify", "Verify the signature of a report's PDF, and the data that it carries."
    ),
    "history": CommandEntry("scanner.app.commands.history", "Query the history."),
    "evidence": CommandEntry(
        "scanner.app.commands.evidence", "Export what was observed, with names and addresses replaced."
    ),
    "diff": CommandEntry("scanner.app.commands.diff", "Show what changed between two runs."),
    "policy": CommandEntry("scanner.app.commands.policy", "List, show, check, compare and replay policies."),
    "explain": CommandEntry("scanner.app.commands.explain", "Explain a rule: what, why, sources, fixes."),
    "import": CommandEntry(
        "scanner.app.commands.import_hosts",
        "Write configuration from files that name hosts, to be read first; nothing is scanned.",
    ),
    "config": CommandEntry("scanner.app.commands.config", "Check, describe or begin a configuration."),
    "doctor": CommandEntry(
        "scanner.app.commands.doctor", "Check what is missing on this machine, and print how to install it."
    ),
    "demo": CommandEntry("scanner.app.commands.demo", "Start the bundled lab of TLS servers and run everything on it."),
}

_EPILOG = """\b
Examples:
  nightseal scan www.example.com            one host, now
  nightseal scan smtp://mail.example.com    STARTTLS
  nightseal config init                     begin a config.toml
  nightseal run                             everything configured, with reports
  nightseal demo                            see it work, on its own servers

\b
Exit status: 0 all is well, 1 a rule failed, 2 wrong use or configuration,
3 something could not be assessed, 4 Nightseal itself failed
or could not keep the results, 130 interrupted, 143 and 129 ended by SIGTERM
and SIGHUP: what was finished by then is kept.
"""


_ENDED = {
    ExitStatus.INTERRUPTED: "interrupted",
    ExitStatus.TERMINATED: "ended by SIGTERM",
    ExitStatus.HUNG_UP: "ended by SIGHUP",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Every command, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the same
        """Import the command's module; its `command` is the command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        with everything_kept():
            command: click.Command = importlib.import_module(entry.module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the same
        """List the commands from the table, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            host = f"to scan a host: nightseal scan {args[0]}" if re.search(r"[.:]", args[0]) else None
            hint = host or nearest(args[0], COMMANDS) or "`nightseal --help` lists them"
            ctx.fail(f'there is no command "{args[0]}" ({hint})')
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(scanner.__version__, prog_name="nightseal")
def cli() -> None:
    """Tell whether HTTPS really protects every environment you run, and prove it on paper."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the contract's status."""
    inherited.note()
    outlive_readers()
    have_home()
    without_plugins()
    handler = logging.StreamHandler()
    handler.setFormatter(HidingFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s")))
    logging.basicConfig(level=os.environ.get("NIGHTSEAL_LOG", "WARNING").upper(), handlers=[handler])
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit status; every error ends here, as one message on stderr."""
    try:
        result: Any = cli.main(arguments, prog_name="nightseal", standalone_mode=False)
    except NightsealError as error:
        _complain(str(error))
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return ExitStatus.USAGE
    except (KeyboardInterrupt, click.Abort) as error:
        # Click makes an abort of its own of whatever interrupts a command.
        told = error if isinstance(error, Interrupted) else error.__cause__
        status = told.status if isinstance(told, Interrupted) else ExitStatus.INTERRUPTED
        _complain("; ".join(filter(None, [_ENDED[status], told.kept if isinstance(told, Interrupted) else ""])))
        return status
    except Exception as error:
        logging.getLogger(__name__).debug("unexpected", exc_info=True)
        hint = "NIGHTSEAL_LOG=debug shows where; please report it"
        _complain(f"Nightseal itself failed: {type(error).__name__}: {error} ({hint})")
        return ExitStatus.INTERNAL
    return result if isinstance(result, int) else ExitStatus.OK


def _complain(message: str) -> None:
    for line in without(message).splitlines() or [""]:
        click.echo(f"nightseal: {line}", err=True)


if __name__ == "__main__":
    main()
