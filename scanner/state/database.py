"""The state file: what the service must remember when it is killed, in one SQLite file.

`starts` are the runs that were due, asked for, begun and ended, `forgotten` counts those that were removed since;
`alarms` is what receivers were told is failing, `told` what they need not hear twice; `outbox` are the messages on
their way, `receivers` how they are taken; `facts` is what the metrics show of each schedule's last run, and
`configurations` are the texts by which runs were begun. APScheduler keeps its jobs in a table of its own beside them.

Each change is one transaction that is on the disk when it returns. Several processes write: the service and its runs.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    select,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from scanner.errors import NightsealError, StateError, UsageError
from scanner.state import VERSION, migrations

_BUSY_S = 30.0
_BUSY_PAUSE_S = 0.02
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENFILE, errno.EMFILE})
_PASSING_IN_SQLITE: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY}
)
_DAMAGED_IN_SQLITE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
META = MetaData()


class Moment(TypeDecorator[datetime]):
    """A moment, kept as text that sorts by time."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:  # noqa: ARG002  # SQLAlchemy's signature
        """To UTC, with microseconds."""
        return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:  # noqa: ARG002  # the same
        """From UTC."""
        return None if value is None else datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)


_ABOUT = Table("about", META, Column("key", String, primary_key=True), Column("value", String, nullable=False))

STARTS = Table(
    "starts",
    META,
    Column("id", Integer, primary_key=True),
    Column("schedule", String, nullable=False),
    Column("due", Moment, nullable=False),
    Column("attempt", Integer, nullable=False, default=1),
    Column("state", String, nullable=False),
    Column("asked", JSON),
    Column("not_before", Moment, nullable=False),
    Column("late", Boolean, nullable=False, default=False),
    Column("run_id", String),
    Column("config", String),
    Column("pid", Integer),
    Column("pid_started", Float),
    Column("recoveries", Integer, nullable=False, default=0),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("exit_status", Integer),
    Column("reason", Text, nullable=False, default=""),
    Column("summary", Text, nullable=False, default=""),
    UniqueConstraint("schedule", "due", "attempt"),
    Index("starts_by_state", "state"),
)

FORGOTTEN = Table(
    "forgotten",
    META,
    Column("schedule", String, primary_key=True),
    Column("state", String, primary_key=True),
    Column("number", Integer, nullable=False),
)

ALARMS = Table(
    "alarms",
    META,
    Column("schedule", String, primary_key=True),
    Column("endpoint", String, primary_key=True),
    Column("rule", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("failing", Boolean, nullable=False),
    Column("flapping", Boolean, nullable=False),
    Column("trail", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("since", Moment),
    Column("levels", String, nullable=False, default=""),
    Column("places", JSON, nullable=False, default=list),
    Column("held", JSON, nullable=False, default=list),
    Column("accepted", JSON),
    Column("seen", JSON),
)

TOLD = Table(
    "told",
    META,
    Column("schedule", String, primary_key=True),
    Column("what", String, primary_key=True),
    Column("at", Moment, nullable=False),
)

OUTBOX = Table(
    "outbox",
    META,
    Column("id", Integer, primary_key=True),
    Column("receiver", String, nullable=False),
    Column("start_id", Integer),
    Column("level", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("files", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("held_until", Moment),
    Column("tries", Integer, nullable=False, default=0),
    Column("error", Text, nullable=False, default=""),
    Column("delivered_at", Moment),
    Column("abandoned", Boolean, nullable=False, default=False),
    Index("outbox_open", "delivered_at", "abandoned"),
)

RECEIVERS = Table(
    "receivers",
    META,
    Column("name", String, primary_key=True),
    Column("failing_since", Moment),
    Column("reported", Boolean, nullable=False, default=False),
    Column("last_success", Moment),
)

FACTS = Table(
    "facts",
    META,
    Column("schedule", String, primary_key=True),
    Column("facts", JSON, nullable=False),
)

CONFIGURATIONS = Table(
    "configurations",
    META,
    Column("digest", String, primary_key=True),
    Column("text", Text, nullable=False),
    Column("used_at", Moment, nullable=False),
)


def open_state(path: Path) -> Engine:
    """Open the state file, beginning one where there is none; readable for its owner alone.

    Raises:
        UsageError: it may not be opened, is something else, or was written by a newer version.
        StateError: it cannot be opened or written for now: the disk is full, for one.
    """
    try:
        # Never one that is there: closing any descriptor of a file ends this process's POSIX locks on it, and SQLite
        # would believe that it still holds them.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise cannot_use(path, error) from error
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            _ABOUT.create(connection, checkfirst=True)
            found = connection.scalar(select(_ABOUT.c.value).where(_ABOUT.c.key == "version"))
            if found is not None and int(found) > VERSION:
                raise UsageError(f"{path} was written by a newer Nightseal (version {found} of its form)")
            if found == "1":
                migrations.alarms_by_endpoint(connection, ALARMS)
            elif found == "2":
                migrations.alarms_with_sightings(connection, ALARMS)
            if found in {"1", "2", "3"}:
                migrations.messages_that_wait(connection, OUTBOX)
            META.create_all(connection)
            value = {"key": "version", "value": str(VERSION)}
            connection.execute(upsert(_ABOUT).values(value).on_conflict_do_update(["key"], set_=value))
    except DatabaseError as error:
        raise cannot_use(path, error) from error
    return engine


def read_state(path: Path) -> Engine:
    """Open a state file only to look into it, also where its disk is full or read-only, or its owner is somebody else.

    Raises:
        UsageError: it may not be opened, or is something else.
        StateError: it cannot be read for now.
    """
    for how in ("mode=ro", "mode=ro&immutable=1"):
        # The second goes without the files beside it, which the first may have to make.
        engine = create_engine("sqlite://", creator=partial(_connected, path, how))
        try:
            with engine.connect() as connection:
                found = connection.scalar(select(_ABOUT.c.value).where(_ABOUT.c.key == "version"))
        except DatabaseError as error:
            engine.dispose()
            refused = error
            continue
        # One of another version is brought up to date first, or refused.
        return engine if found == str(VERSION) else open_state(path)
    raise cannot_use(path, refused)


def _connected(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", timeout=_BUSY_S, uri=True)


def cannot_use(path: Path, error: OSError | SQLAlchemyError) -> NightsealError:
    """What to raise where the state file, or what lies beside it, cannot be used.

    A full disk, a file that is locked or one that fails is not the configuration's fault, and may pass.
    """
    if isinstance(error, OSError):
        passing, reason = error.errno in _PASSING, error.strerror or str(error)
    else:
        reason = str(getattr(error, "orig", error))
        code = getattr(getattr(error, "orig", None), "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        passing = code in _PASSING_IN_SQLITE
        if code in _DAMAGED_IN_SQLITE:
            hint = "move it away, and a new one is created: failures are reported once more; the history is unaffected"
            return UsageError(f"{path} cannot be used: {reason} ({hint})")
    if not passing:
        return UsageError(f"{path} cannot be used: {reason} ([daemon] state names another place)")
    full = "full" in reason or "space" in reason
    hint = "make room; no run can begin until then" if full else "no run can begin until it can be written"
    return StateError(f"{path} cannot be used: {reason} ({hint})")


def _prepare(connection: Any, _: Any) -> None:
    # Transactions are begun by `_begin`: what is read in one must still hold when it writes.
    connection.isolation_level = None
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, which a new file needs once.

    SQLite waits for nobody with it: of two processes that open a new file at once, one would be told that it is locked.
    """
    ends = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(_BUSY_PAUSE_S)
        else:
            return


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
