"""Inventories as people have them: how large they may be, and how long they take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scanner.inventories import MOST_ROWS

LIMITED = """
import pathlib, resource, sys
from scanner import errors
from scanner.config import loading as config
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    config.load(pathlib.Path(sys.argv[1]))
except errors.ConfigError as error:
    print(error)
"""


def test_a_million_rows_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "config.toml").write_text(
        '[[environment]]\nname = "e"\nkind = "on-premises"\n[[environment.inventory]]\nfrom = "hosts.csv"\n', "utf-8"
    )
    (folder / "hosts.csv").write_bytes(b"host\n" + b"".join(b"h%06d.example\n" % number for number in range(1_000_000)))

    command = [sys.executable, "-c", LIMITED, str(folder / "config.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    assert done.stdout == (
        f"{folder}/hosts.csv:{MOST_ROWS + 2}: has more than {MOST_ROWS} rows "
        "(split it, or leave out what is not scanned)\n"
    ), done.stderr
