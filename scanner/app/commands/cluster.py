"""`nightseal cluster`: what the members of a fleet need to know each other."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app.lazy import done_by


@click.group("cluster")
def command() -> None:
    """Create the certificates and users of a fleet."""


@command.command("certificates")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--host",
    "hosts",
    multiple=True,
    required=True,
    metavar="NAME[:PORT]",
    help="A name or address of the broker; the first one goes into broker.env. Repeatable.",
)
@click.option("--zone", "zones", multiple=True, metavar="ZONE", help="A zone; its workers get a certificate.")
@done_by("scanner.app.handlers.cluster:certificates")
def certificates() -> None:
    """Make the certificates of mutual TLS, or make them again under the same authority.

    FOLDER gets a folder for the broker, one for the coordinator and one for the workers of each zone, each with its
    key, its certificate (good for 90 days) and the authority's. Give each member only its own folder, and keep
    ca-key.pem where you made it.

    users.acl (Redis) and definitions.json (RabbitMQ) in the broker's folder have its users, each with what it may do:
    those of a zone see nothing of other zones. broker.env in a member's folder has its password, which is kept when the
    command is called again.

    \b
    Examples:
      nightseal cluster certificates fleet --host broker.example --zone dmz --zone plant
    """
