"""A history that could not be begun before a scan, because there was no room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.history.store import History

if TYPE_CHECKING:
    from scanner.verdict import RunRecord


class UnbegunHistory(History):
    """One that is begun with the first run that it takes; until then it can't be read."""

    def append(self, record: RunRecord) -> None:
        """Begin the history, and add the run.

        Raises:
            HistoryError: there is still no room for it.
        """
        History.open(str(self.location), create=True)
        super().append(record)
