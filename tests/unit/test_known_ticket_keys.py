"""Since when keys of session tickets are known: by name, over runs, in bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanner import known_ticket_keys
from scanner.evidence import Attempt, TargetEvidence, TicketKey
from scanner.known_keys import FILE
from scanner.known_ticket_keys import SeenTicketKeys, with_since
from tests.build.facts import tls

NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def seen(name: str, when: datetime) -> TargetEvidence:
    return TargetEvidence(when, 1.0, 1, tls=Attempt.ok(tls(ticket_key=Attempt.ok(name))))


def since(folder: Path | None, *found: TargetEvidence) -> dict[str, datetime]:
    keys = SeenTicketKeys()
    for item in found:
        keys.note(item)
    return dict(keys.since(folder))


def test_a_name_that_is_seen_again_is_as_old_as_its_first_sighting(tmp_path: Path) -> None:
    assert since(tmp_path, seen("aa", NIGHT), seen("bb", NIGHT)) == {"aa": NIGHT, "bb": NIGHT}
    later = since(tmp_path, seen("aa", NIGHT + 3 * DAY), seen("cc", NIGHT + 3 * DAY))
    assert later == {"aa": NIGHT, "cc": NIGHT + 3 * DAY}

    again = with_since(seen("aa", NIGHT + 3 * DAY), later).tls.value
    assert again is not None
    assert again.ticket_key_since == NIGHT
    new = seen("cc", NIGHT + 3 * DAY)
    assert with_since(new, later) is new, "what is seen for the first time has no age"


def test_what_names_no_key_has_no_age(tmp_path: Path) -> None:
    for nameless in TicketKey:
        found = seen(nameless, NIGHT)
        assert since(tmp_path, found) == {}
        assert with_since(found, {nameless: NIGHT - DAY}) is found


def test_a_run_that_ends_late_changes_no_first_sighting(tmp_path: Path) -> None:
    """Two runs at once: the one that began first may be kept last."""
    since(tmp_path, seen("aa", NIGHT + DAY))
    assert since(tmp_path, seen("aa", NIGHT)) == {"aa": NIGHT}
    assert since(tmp_path, seen("aa", NIGHT + 2 * DAY)) == {"aa": NIGHT}


def test_without_a_folder_the_run_alone_is_known() -> None:
    assert since(None, seen("aa", NIGHT), seen("aa", NIGHT - DAY)) == {"aa": NIGHT - DAY}


def test_a_file_that_cannot_be_used_costs_the_age_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("this is no database, and long enough to be taken for one" * 100, "utf-8")
    assert since(tmp_path, seen("aa", NIGHT)) == {"aa": NIGHT}


def test_it_is_bounded_in_time_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    since(tmp_path, seen("aa", NIGHT))
    assert since(tmp_path, seen("aa", NIGHT + 401 * DAY)) == {"aa": NIGHT + 401 * DAY}, "it came back too late"

    monkeypatch.setattr(known_ticket_keys, "MOST", 2)
    start = NIGHT + 402 * DAY
    for number, name in enumerate(("bb", "cc", "dd")):
        since(tmp_path, seen(name, start + number * DAY))
    last = start + 3 * DAY
    found = since(tmp_path, *(seen(name, last) for name in ("bb", "cc", "dd")))
    assert found == {"bb": last, "cc": start + DAY, "dd": start + 2 * DAY}
