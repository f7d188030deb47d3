"""One service for one state file: the lock that the second one finds, with who holds it.

The lock is the operating system's: it ends with its holder, however that ends, so that none can be left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from scanner.errors import UsageError
from scanner.state.database import cannot_use


class ServiceLock:
    """Held from `acquire` until `release`, or until the process is gone."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.path = state.with_name(f"{state.name}.lock")
        self._holder = state.with_name(f"{state.name}.pid")
        self._lock = FileLock(self.path, mode=0o600)

    def acquire(self) -> None:
        """Take the lock, also from a process that is no more.

        Raises:
            UsageError: another process holds it; says which, and since when.
            StateError: the disk is full, for one.
        """
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise UsageError(f"{self._who()} uses {self.path.with_suffix('')}: one service for one state") from error
        except OSError as error:
            raise cannot_use(self.path, error) from error
        self._refuse_second_name()
        record = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        # It is for people alone: the lock holds without it.
        with contextlib.suppress(OSError):
            self._holder.write_text(json.dumps(record), "utf-8")

    def _refuse_second_name(self) -> None:
        """A hard link is the same file beside another lock: two services would not see each other."""
        try:
            found = self._state.stat()
        except OSError:
            return  # it is not there yet
        names = found.st_nlink
        if names > 1 and stat.S_ISREG(found.st_mode):
            self._lock.release()
            raise UsageError(f"{self._state} has {names} names (hard links), and two services could use it: remove one")

    def free(self) -> str:
        """What to say where nobody holds it; empty where a service does."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return ""
        except OSError as error:
            return f"{self.path} cannot be opened: {error.strerror}"
        self._lock.release()
        return f"no service uses {self._state}"

    def release(self) -> None:
        """Give the lock back."""
        with contextlib.suppress(OSError):
            self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _who(self) -> str:
        try:
            record = json.loads(self._holder.read_text("utf-8"))
            return f"process {int(record['pid'])}, since {record['since']},"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
