"""`nightseal verify`: whether a signed report is what was signed, and by whom."""

from __future__ import annotations

from pathlib import Path

import click

from scanner.app import options
from scanner.app.lazy import done_by


@click.command("verify")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PEM",
    help="Trusted certificates for the signature: CAs, or the signer's own.",
)
@click.option("--history", "with_history", is_flag=True, help="Compare with the run in the history of --config too.")
@click.option("--replay", is_flag=True, help="Judge the evidence inside again, and compare verdict by verdict.")
@click.option("--policy", "policy_name", metavar="P", help="With --replay: judge by this policy instead.")
@options.config_option
@options.quiet_option
@done_by("scanner.app.handlers.verify:verify", instead={"with_history": "scanner.app.handlers.verify_history:verify"})
def command() -> None:
    """Verify the signature of a report's PDF, and the data that it carries.

    Without --trust, the identity of the signer is not checked. With --history the verdicts are compared with those of
    the same run there, and its PDF is drawn again to compare the pages. With --replay the evidence inside is judged
    again by the policy that travels with it, or by --policy, without history or network; FILE may then be one of
    `--format evidence` too. Exit status: 0 valid, 1 not valid or other verdicts, 2 not a Nightseal report.

    \b
    Examples:
      nightseal verify out/20261124T020000Z-4d5e6f.pdf --trust ca.pem
      nightseal verify report.pdf --history
      nightseal verify report.pdf --replay --policy pci-dss-4.0.1
    """
