"""Since when keys of session tickets are in use: each is known by its name, which tickets carry in plain.

A name of 16 random bytes that is seen again is the same key (RFC 5077 section 4), so it lives at least since it was
seen first. Names are no secrets; nothing else is kept of the keys. What was not seen for a year, or stands behind a
great many newer ones, is forgotten: seen again after that, a key is taken for a young one.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from scanner.compared import ticket_key
from scanner.evidence import TargetEvidence
from scanner.known_keys import FILE, written

_LOG: Final = logging.getLogger(__name__)
_REMEMBERED: Final = timedelta(days=400)
MOST: Final = 200_000
"""So many names are kept: an estate of ten thousand servers that change their key daily has them for three weeks."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ticket_keys (name TEXT PRIMARY KEY, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL)
  WITHOUT ROWID;
"""


class SeenTicketKeys:
    """The keys of a run: of each target they are noted, and its evidence is needed no more."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[datetime, datetime]] = {}

    def note(self, evidence: TargetEvidence) -> None:
        """Take in the key of a target, and when it was seen."""
        if (name := ticket_key(evidence)) is not None:
            first, last = self._seen.get(name, (evidence.started_at, evidence.started_at))
            self._seen[name] = min(first, evidence.started_at), max(last, evidence.started_at)

    def since(self, folder: Path | None) -> Mapping[str, datetime]:
        """When each was seen first, of this run and those before it.

        Args:
            folder: where they are kept from run to run; without one, this run's alone are known.
        """
        if folder is None or not self._seen:
            return {name: first for name, (first, _) in self._seen.items()}
        try:
            return self._kept(folder / FILE)
        except (sqlite3.Error, OSError) as error:
            _LOG.warning(
                "%s cannot be used, so only keys of tickets in this run are compared: %s", folder / FILE, error
            )
            return {name: first for name, (first, _) in self._seen.items()}

    def _kept(self, path: Path) -> Mapping[str, datetime]:
        latest = max(last for _, last in self._seen.values())
        with written(path, _SCHEMA) as database:
            # Forgotten first: a key that comes back after so long is a new one.
            database.execute("DELETE FROM ticket_keys WHERE last_seen < ?", (_text(latest - _REMEMBERED),))
            database.executemany(
                "INSERT INTO ticket_keys VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                "first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen)",
                [(name, _text(first), _text(last)) for name, (first, last) in self._seen.items()],
            )
            found = {}
            for name in self._seen:
                ((first,),) = database.execute("SELECT first_seen FROM ticket_keys WHERE name = ?", (name,))
                found[name] = datetime.fromisoformat(first)
            database.execute(
                "DELETE FROM ticket_keys WHERE name IN (SELECT name FROM ticket_keys ORDER BY last_seen DESC, name "
                "LIMIT -1 OFFSET ?)",
                (MOST,),
            )
        return found


def with_since(evidence: TargetEvidence, since: Mapping[str, datetime]) -> TargetEvidence:
    """The evidence with when the key of its tickets was seen first; itself where that is now."""
    name, tls = ticket_key(evidence), evidence.tls.value
    first = since.get(name) if name is not None else None
    if tls is None or first is None or first >= evidence.started_at or first == tls.ticket_key_since:
        return evidence
    return replace(evidence, tls=replace(evidence.tls, value=replace(tls, ticket_key_since=first)))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
