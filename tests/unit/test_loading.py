"""What the collector of garbage does not look at."""

from __future__ import annotations

import gc

from scanner.jobs.output import Rendering, rendered
from scanner.loading import all_in_use
from tests.build.records import sample_record


def test_what_is_in_use_is_not_looked_at_meanwhile() -> None:
    kept = [{"number": number} for number in range(100)]
    with all_in_use():
        assert gc.get_freeze_count() > len(kept)
        assert not any(found is kept[0] for found in gc.get_objects())
    assert any(found is kept for found in gc.get_objects())


def test_a_run_is_not_looked_at_while_a_report_is_made_of_it() -> None:
    gc.unfreeze()
    pieces = rendered(Rendering(sample_record(1)), "json")
    next(pieces)
    assert gc.get_freeze_count() > 0
    assert list(pieces)
    assert gc.get_freeze_count() == 0
