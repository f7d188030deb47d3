"""The key that signs a report: its option, and its passphrase, which never stands on a command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from scanner.errors import UsageError

if TYPE_CHECKING:
    from reports.signature import SigningKey

PASSPHRASE_VARIABLE: Final = "NIGHTSEAL_SIGN_PASSPHRASE"  # noqa: S105  # the name of a variable
LARGEST_PDF: Final = 1 << 30
_LARGEST_KEY: Final = 1 << 20

sign_option = click.option(
    "--sign",
    "sign_with",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="KEY.p12",
    help=f"Sign the PDF by this key. Its passphrase: ${PASSPHRASE_VARIABLE}, or asked for.",
)


def signing_key(path: Path | None, formats: Sequence[str]) -> SigningKey | None:
    """Load the key that `--sign` names, asking for its passphrase on a terminal where it has to be asked for.

    Raises:
        UsageError: no PDF is to be written, or the key cannot be used.
    """
    if path is None:
        return None
    if "pdf" not in formats:
        raise UsageError("--sign signs a PDF: add --format pdf")
    from reports.signature import PassphraseError, load_key  # noqa: PLC0415  # only where something is signed

    data = read_bounded(path, _LARGEST_KEY)
    given = os.environ.get(PASSPHRASE_VARIABLE)
    try:
        return load_key(data, given, source=str(path))
    except PassphraseError as error:
        if given is not None:
            raise PassphraseError(f"{path} cannot be unlocked by the passphrase in {PASSPHRASE_VARIABLE}") from error
        if not sys.stdin.isatty():
            message = f"{path} is locked by a passphrase: give it in the environment variable {PASSPHRASE_VARIABLE}"
            raise PassphraseError(message) from error
    return load_key(data, click.prompt(f"Passphrase of {path}", hide_input=True, err=True), source=str(path))


def read_bounded(path: Path, largest: int) -> bytes:
    """Read a file that somebody names.

    Raises:
        UsageError: it cannot be read, or is larger than `largest` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > largest:
        raise UsageError(f"{path} is larger than {largest >> 20} MiB, so it is not the expected file")
    return data
