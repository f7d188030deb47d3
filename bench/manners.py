"""Count what administrators see of one scan: connections, and lines in the logs of real server programs.

    python bench/manners.py [PROGRAM]...

Each program is started as in `tests/build/programs.py`, scanned once with the defaults, and all files under its folder
are read: what it wrote there meanwhile is what it logs at the level that its configuration there has.
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.build.programs import PROGRAMS, start
from tests.build.servers import servers
from tests.servers.test_programs import SETTINGS, scanned, target_of

_LARGEST = 10_000_000
"""Bytes of a file that may be a log."""


def _lines(folders: list[Path]) -> list[str]:
    found = []
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        if path.suffix != ".pem" and path.stat().st_size < _LARGEST:
            with contextlib.suppress(UnicodeDecodeError, OSError):
                found += path.read_text().splitlines()
    return found


def _kind(line: str) -> str:
    """A line without what differs between two of a kind."""
    return re.sub(r"0x[0-9a-fA-F]+|[0-9A-F]{8,}|\d+", "#", line).strip()[:110]


def main(names: list[str]) -> None:
    """Print a row for each program."""
    print("| program | connections | lines in its log | most of them |\n|---|---|---|---|")
    for item in PROGRAMS:
        if names and item.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder, servers(Path(folder)) as started:
            port = start(item, started)
            folders = [Path(folder), *Path(tempfile.gettempdir()).glob(f"nightseal-{port}-*/")]
            before = Counter(map(_kind, _lines(folders)))
            evidence = scanned(target_of(item, port), SETTINGS)
            lines = _lines(folders)
        kinds = Counter(map(_kind, lines)) - before
        most = f"`{kinds.most_common(1)[0][0]}`".replace("|", "/") if kinds else ""
        print(f"| {item.name} | {evidence.connections} | {kinds.total()} | {most} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
