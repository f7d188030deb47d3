"""What may keep the service from its work while nobody asks it for any: full disks, and a configuration that is wrong.

Looked at once a minute, so that it is known hours before the night: whether the places that it writes to can be written
to, and whether the configuration on the disk, if it was changed, would be taken.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from scanner.config.loading import Config
from scanner.errors import NightsealError
from scanner.jobs.destinations import refusal
from scanner.service import setup

_EVERY_S = 60.0


class PlaceProblem(Struct, frozen=True):
    """A folder that cannot be written to: what for (`name`), which, and why."""

    name: str
    folder: Path
    error: OSError

    def __str__(self) -> str:
        return f"{self.folder} cannot be written to: {self.error.strerror}"


class Watch(Struct):
    """What was seen last. `places` are the folders by what they are for."""

    config_path: Path
    places: Mapping[str, Path] = field(default_factory=dict)
    problems: dict[str, PlaceProblem] = field(default_factory=dict)
    free_bytes: dict[str, int] = field(default_factory=dict)
    refusal: NightsealError | None = None
    """Why the configuration on the disk is refused."""
    _looked_s: float = float("-inf")
    _seen: tuple[tuple[str, int, int], ...] = ()

    def follow(self, current: setup.Setup) -> None:
        """Watch what this configuration names from now on; it is the one on the disk."""
        self.places = places_of(current.config, current.state)
        self._seen = _signature(current.config.files)
        self.refusal = None
        self._looked_s = float("-inf")

    @property
    def config_problem(self) -> str:
        """Why the configuration on the disk is refused, as a sentence for each reason; empty where it is not."""
        return str(self.refusal) if self.refusal else ""

    def refused(self, error: NightsealError) -> None:
        """The configuration on the disk was refused when it was read."""
        self.refusal = error

    def soon(self) -> None:
        """Look the next time, however long ago the last was: something went wrong."""
        self._looked_s = float("-inf")

    def look(self, files: tuple[Path, ...]) -> None:
        """Look, where it is time to."""
        now = time.monotonic()
        if now - self._looked_s < _EVERY_S:
            return
        self._looked_s = now
        for name, folder in self.places.items():
            self._look_at(name, folder)
        self._look_at_configuration(files)

    def _look_at(self, name: str, folder: Path) -> None:
        there = next(item for item in (folder, *folder.parents) if os.path.lexists(item))
        try:
            space = os.statvfs(there)
            self.free_bytes[name] = space.f_bavail * space.f_frsize
            refused = refusal(there)
        except OSError as error:
            refused = error
        if refused is None:
            self.problems.pop(name, None)
        else:
            self.problems[name] = PlaceProblem(name, there, refused)

    def _look_at_configuration(self, files: tuple[Path, ...]) -> None:
        found = _signature(files)
        # What it names may be mended while its own files stay as they are.
        if found == self._seen and self.refusal is None:
            return
        self._seen = found
        try:
            setup.load(self.config_path)
        except NightsealError as error:
            self.refusal = error
        else:
            self.refusal = None


def places_of(config: Config, state: Path) -> dict[str, Path]:
    """The folders that the service writes to, by what for; object stores are not among them."""
    named = {"history": config.form.nightseal.history, "output": config.form.nightseal.output}
    places = {name: config.resolve(value) for name, value in named.items()}
    folders = {name: Path(place).absolute() for name, place in places.items() if "://" not in place}
    return {"state": state.parent, **folders}


def _signature(files: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file is written."""
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            found.append((str(file), 0, 0))
        else:
            found.append((str(file), stat.st_mtime_ns, stat.st_size))
    return tuple(found)
