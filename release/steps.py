"""What the programs of a release share: a step that is told, and a command whose failure ends everything."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


class ReleaseError(Exception):
    """A release cannot be made of this: the message says what is missing or wrong."""


def step(text: str) -> None:
    """Tell what is done next, or what came of it."""
    print(text, flush=True)


@contextlib.contextmanager
def workplace(keep: Path | None) -> Iterator[Path]:
    """The folder in which to make what is tried: the one to be kept, or one for this time."""
    if keep:
        yield keep.resolve()
    else:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)


def call(*command: str | Path, cwd: Path = REPOSITORY, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output.

    Raises:
        ReleaseError: It ended with another status than 0; the message has its output.
    """
    # What is built or installed must not come from the checkout or the environment that builds it.
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReleaseError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def uv(*arguments: str | Path, cwd: Path = REPOSITORY, env: Mapping[str, str] | None = None) -> str:
    """Run uv, which builds and installs faster than pip, with the same files and digests."""
    return call(sys.executable, "-m", "uv", *arguments, cwd=cwd, env=env)


def copy_of_checkout(folder: Path) -> None:
    """Copy every file that is or would be committed into a folder of its own."""
    names = call("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        source, target = REPOSITORY / name, folder / name
        if source.is_file():  # one that is removed, and not committed yet, is still listed
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
