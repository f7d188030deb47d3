"""`nightseal worker`: a worker in another network."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app.lazy import done_by


@click.command("worker")
@click.option("--zone", required=True, metavar="ZONE", help="Whose targets it probes: the zone of an environment.")
@click.option("--broker", required=True, metavar="URL", envvar="NIGHTSEAL_BROKER", help="rediss://… or amqps://…")
@click.option(
    "--certificates",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Its folder, as `nightseal cluster certificates` made it.",
)
@click.option("--insecure", is_flag=True, help="Connect to the broker without mutual TLS.")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Shards at once; each uses every processor.",
)
@done_by("scanner.app.handlers.worker:worker")
def command() -> None:
    """Probe the targets of a zone for runs elsewhere, until told to stop.

    It connects out to the broker and listens nowhere. Client certificates that targets require are read here, from
    the paths in the configuration. The broker's URL may be given in the variable NIGHTSEAL_BROKER, which keeps its
    password off the command line.

    \b
    Examples:
      nightseal worker --zone dmz --broker rediss://broker.example:6379/0 --certificates /etc/nightseal/zone-dmz
    """
