"""Where a history is: a folder or an object-store URL, and what is wrong with one that cannot be used.

Nothing is ever written into a folder that holds something else.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from scanner.errors import HistoryError, HistoryFullError
from scanner.formats import load
from scanner.history.schema import RUNS, TABLES

_STORE_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_", "GCS_")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HARMLESS = frozenset({"lost+found"})
_LOG = "_delta_log"
_ADVICE = (
    (errno.ENOSPC, "the disk is full: make room on it; earlier runs are intact"),
    (errno.EDQUOT, "the disk quota is used up: make room; earlier runs are intact"),
    (errno.EFBIG, "a file exceeded the size limit that applies here; earlier runs are intact"),
    (
        errno.EROFS,
        "the file system is read-only: check its disk, or choose another folder",
    ),
    (errno.EACCES, "give the user who runs this write access, or choose another folder by [nightseal] history"),
    (errno.EPERM, "give the user who runs this write access, or choose another folder by [nightseal] history"),
)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Location:
    """A folder or an object-store URL. The credentials of a store are read from its usual environment variables."""

    def __init__(self, location: str | Path) -> None:
        self.text = str(location)
        parts = urlsplit(self.text)
        self.folder: Path | None = None
        if parts.scheme == "file":
            self.folder = Path(unquote(parts.path))
        elif len(parts.scheme) < 2:  # noqa: PLR2004  # "C:" is a drive, not the scheme of a URL
            self.folder = Path(location).expanduser().absolute()

    def __str__(self) -> str:
        return self.text

    @property
    def storage_options(self) -> Mapping[str, str]:
        """What the object store's client must know; empty for a folder."""
        if self.folder is not None:
            return {}
        found = {name: value for name, value in os.environ.items() if name.startswith(_STORE_VARIABLES)}
        # Commits are files that must not be there yet. What would loosen that is not taken from anywhere.
        found.pop("AWS_S3_ALLOW_UNSAFE_RENAME", None)
        return {**found, "conditional_put": "etag"} if self.text.startswith("s3") else found

    def uri(self, table: str) -> str:
        """Where a table is."""
        return str(self.folder / table) if self.folder is not None else f"{self.text.rstrip('/')}/{table}"

    def holds_history(self) -> bool:
        """Whether the table of runs is there. An unfinished beginning is no history yet.

        Raises:
            HistoryError: something else is there.
        """
        with self.explained("read"):
            if self.folder is not None:
                self._refuse_other_things(self.folder)
            return DeltaTable.is_deltatable(self.uri(RUNS.name), dict(self.storage_options))

    def prepare(self) -> None:
        """Make the folder, if there is none."""
        if self.folder is not None:
            with self.explained("create"):
                self.folder.mkdir(parents=True, exist_ok=True)

    def refuse_unwritable(self) -> None:
        """Find out before a long scan, not after it, that its result could not be kept.

        Raises:
            HistoryError: a folder of the history may not be written to, or a store lets writers overwrite each other.
        """
        if self.folder is None:
            # Its client loads where there is a store alone.
            load("scanner.history.create_only:refuse_overwriting")(self.text)
            return
        for folder in (self.folder, *(self.folder / name / _LOG for name in TABLES)):
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise self._failed("write", _denied(folder))

    def missing(self) -> HistoryError:
        """The error that there is no history here."""
        return HistoryError(f"{self}: there is no history here; `nightseal run` begins one")

    def _refuse_other_things(self, folder: Path) -> None:
        if not folder.exists():
            return
        if not folder.is_dir():
            message = f"{self}: is a file, but the history is a folder; name another by [nightseal] history"
            raise HistoryError(message)
        if (folder / RUNS.name / _LOG).is_dir():
            return  # a history, to which people may have added what they like
        foreign = sorted(item.name for item in folder.iterdir() if not _belongs(item))
        if foreign:
            found = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")  # noqa: PLR2004  # three names tell enough
            message = (
                f"{self}: is not a history (it holds {found}), and Nightseal does not write into a folder with other "
                f"files; name an empty or new folder by [nightseal] history"
            )
            raise HistoryError(message)

    @contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn what the libraries raise into a HistoryError that says what failed, where, and how to fix it."""
        try:
            yield
        except (OSError, DeltaError, pa.ArrowException) as error:
            raise self._failed(doing, error) from error

    def _failed(self, doing: str, error: Exception) -> HistoryError:
        words = " ".join(_COLOUR.sub("", str(error)).split())
        number = error.errno if isinstance(error, OSError) else None
        told = (code for code, _ in _ADVICE if code == number or os.strerror(code).lower() in words.lower())
        code = next(told, None)
        advice = dict(_ADVICE).get(code or 0, "`nightseal doctor` shows more")
        passing = code in _NO_ROOM or (code == errno.EROFS and self.folder is not None and self.folder.is_dir())
        kind = HistoryFullError if passing else HistoryError
        failed = kind(f"{self}: the history cannot be {_PARTICIPLES.get(doing, doing)}: {words} ({advice})")
        failed.place, failed.number = self.text, number or code
        return failed


_PARTICIPLES = {"write": "written", "create": "created"}


def _denied(folder: Path) -> OSError:
    """Why nobody here may write there: on a file system that is read-only, whoever asks."""
    number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
    return OSError(number, os.strerror(number), str(folder))


def _belongs(item: Path) -> bool:
    """Whether an entry may stand in the folder of a history that is only being begun."""
    if item.name.startswith(".") or item.name in _HARMLESS:
        return True
    if item.name not in TABLES or not item.is_dir():
        return False
    return (item / _LOG).is_dir() or not any(item.iterdir())
