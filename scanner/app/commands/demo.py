"""`nightseal demo`: the whole of it, on servers of its own."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.command("demo")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="A configuration that names the lab's hosts; the bundled one by default.",
)
@options.output_option
@options.quiet_option
@done_by("scanner.app.handlers.demo:demo", scans=True)
def command() -> None:
    """Start the bundled lab of TLS servers and run everything on it.

    The servers are on loopback; they are scanned as configured, the reports are written, and they are stopped.

    Failures are what the lab is for: they do not make the demo's exit status 1.

    \b
    Examples:
      nightseal demo
      nightseal demo --config config.toml --output /tmp/nightseal-demo/
    """
