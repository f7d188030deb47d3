"""The files that the service holds open, and that others find by their names: its state and its lock."""

from __future__ import annotations

from pathlib import Path


class Belongings:
    """Some files as they are now.

    Where one is removed or replaced, the service goes on in a file that nobody else sees: the runs that it starts find
    another one, and a second service may start. SQLite tells the two apart by the same numbers.
    """

    def __init__(self, *paths: Path) -> None:
        self._known = {path: _identity(path) for path in paths}

    def lost(self) -> Path | None:
        """One that is not the same any more."""
        for path, known in self._known.items():
            try:
                if _identity(path) != known:
                    return path
            except OSError:
                continue  # the disk does not say; it is told with what it refuses
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
