"""Where runs wait that the history did not take, also after the configuration names other places.

A run waits in the output folder, or beside the service's state. Which folders these were is noted, before each run,
beside the history and beside the state: whoever changes one of the three still leads to the others. What waits says
whose it is, so that two configurations with one folder do not take each other's runs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from scanner.errors import OutputError
from scanner.jobs.destinations import write_whole

if TYPE_CHECKING:
    from scanner.config.loading import Config

WAITING: Final = ".not-kept"
"""The folder, inside one that takes files, in which runs wait for the history."""
_NOTE: Final = ".not-kept.json"
"""The file that names the folders which were used so far."""
_MEANT: Final = "meant.json"
"""The file beside a run that waits which says whose it is."""
_MOST: Final = 50


class WaitingPlaces(Struct, frozen=True):
    """The folders in which runs may wait, the first choice first; where folders are noted; and whose runs these are."""

    folders: tuple[Path, ...] = ()
    noted_in: tuple[Path, ...] = ()
    config: str = ""
    history: str = ""

    def remember(self) -> None:
        """Note the folders, where they are not noted yet. Where nothing can be written, nothing is lost yet."""
        names = [str(folder) for folder in self.folders]
        for note in dict.fromkeys(self.noted_in):
            known = _noted(note)
            if not set(names) <= set(known):
                text = json.dumps(list(dict.fromkeys((*names, *known)))[:_MOST], indent=1)
                with contextlib.suppress(OutputError, OSError):
                    write_whole(note, text.encode())

    def runs(self) -> list[Path]:
        """The runs that wait for this history, by their folders."""
        noted = (Path(name) for note in self.noted_in for name in _noted(note))
        return sorted(
            path
            for folder in dict.fromkeys((*self.folders, *noted))
            for path in _folders_in(folder / WAITING)
            if self._are_ours(path)
        )

    def claim(self, waiting: Path) -> None:
        """Say of a run that waits whose it is."""
        said = json.dumps({"config": self.config, "history": self.history})
        with contextlib.suppress(OutputError):
            write_whole(waiting / _MEANT, said.encode())

    def _are_ours(self, waiting: Path) -> bool:
        """Whether a run waits for this configuration or this history: the other of them may have been changed since."""
        try:
            said = json.loads((waiting / _MEANT).read_text("utf-8"))
            return bool(self.config == said["config"] or self.history == said["history"])
        except (OSError, ValueError, KeyError, TypeError):
            # Of an older version, or its disk was full: it is ours where the folder is.
            return waiting.parent.parent in self.folders


def waiting_places(config: Config) -> WaitingPlaces:
    """Where runs of a configuration may wait: in the output folder, or beside the service's state."""
    form = config.form
    history, output = config.resolve(form.nightseal.history), config.resolve(form.nightseal.output)
    state = Path(config.resolve(form.daemon.state)).absolute().parent
    beside = (state,) if "://" in history else (state, Path(history).absolute().parent)
    return WaitingPlaces(
        folders=(state,) if "://" in output else (Path(output).absolute(), state),
        noted_in=tuple(folder / _NOTE for folder in beside),
        config=str(Path(config.source).absolute()),
        history=history if "://" in history else str(Path(history).absolute()),
    )


def _noted(note: Path) -> Sequence[str]:
    try:
        found = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError):
        return ()
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else ()


def _folders_in(folder: Path) -> Iterator[Path]:
    # A disk that is not there for now, or belongs to somebody else, has none; nor has a name with a NUL.
    with contextlib.suppress(OSError, ValueError):
        yield from (path for path in folder.iterdir() if path.is_dir())
