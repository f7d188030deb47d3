"""`nightseal demo`: the whole of it, on servers of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click
from msgspec import structs

import scanner.lab
from scanner.config import loading as configuration
from scanner.formats import DEFAULT_REPORTS
from scanner.jobs import session
from scanner.jobs.keeping import warn
from scanner.jobs.run import Order, execute
from scanner.jobs.session import Overrides
from scanner.jobs.stopping import Stopping
from scanner.jobs.summary import summary
from scanner.lab import Lab
from scanner.pipeline import Job
from scanner.verdict import RunRecord

_CLIENT_CERTIFICATE = ("NIGHTSEAL_LAB_CLIENT_CERTIFICATE", "NIGHTSEAL_LAB_CLIENT_KEY")
"""Variables by which a configuration of the lab names the client certificate, whose folder is another each time."""


def demo(config_path: Path | None, output: str | None, *, quiet: bool) -> None:
    """Start the bundled lab of TLS servers and run everything on it.

    Raises:
        ConfigError: the configuration is wrong, which is found before the lab starts.
    """
    # Where the lab keeps its client certificate is not known yet; all else can be wrong by now.
    _configured(config_path, dict.fromkeys(_CLIENT_CERTIFICATE, "client.pem"))
    click.echo("Starting the lab: real TLS servers on loopback…", err=True)
    with Stopping() as stopping, Lab() as lab:
        kept = (str(lab.client_certificate_file), str(lab.client_key_file))
        config = _configured(config_path, dict(zip(_CLIENT_CERTIFICATE, kept, strict=True)))
        overrides = Overrides(ca_file=lab.ca_file, connect_to=lab.connect_to)
        order = Order(formats=DEFAULT_REPORTS, output=output)

        def scan(job: Job) -> RunRecord:
            # The lab's authorities are others each time: what they answer is kept for this run alone.
            return session.run_with_progress(structs.replace(job, answers=None), stopping, quiet=quiet)

        outcome = execute(config, order, overrides, scan)
    click.echo(summary(outcome))
    warn(outcome.troubles)
    if outcome.lost is not None:
        raise outcome.lost


def _configured(path: Path | None, certificate: Mapping[str, str]) -> configuration.Config:
    return configuration.load(path, environ={**os.environ, **certificate}, unset=("notify",)) if path else _bundled()


def _bundled() -> configuration.Config:
    """The configuration that ships: in an installed package a copy of the top-level one, in a checkout itself."""
    packaged = Path(scanner.lab.__file__).with_name("demo.toml")
    path = packaged if packaged.is_file() else Path(scanner.__file__).parents[1] / "config.toml"
    text = path.read_text("utf-8")
    return configuration.parse(text, source="the bundled configuration", folder=Path())
