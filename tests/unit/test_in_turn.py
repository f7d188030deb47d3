"""The order of a parallel run: nothing is lost, the longest begins first, and what waits is beside what computes."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest

from tests.build.in_turn import COMPUTING, SECONDS, WAITING, in_turn

TESTS = Path(__file__).parents[1]


@pytest.fixture
def some(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """Forty tests of two folders, in ten groups: five that wait and five that compute."""

    class Made(pytest.Item):
        def runtest(self) -> None: ...

    made = []
    for folder in ("lab", "reports"):
        for number in range(20):
            path = TESTS / folder / f"test_{number % 5}.py"
            item = Made.from_parent(request.session, name=f"{folder}-{number}", nodeid=f"{folder}::{number}")
            item.path = path
            item.add_marker(pytest.mark.xdist_group(f"{folder}-{number % 5}"))
            made.append(item)
    return made


def groups(items: list[pytest.Item]) -> list[str]:
    return list(dict.fromkeys(str(next(item.iter_markers("xdist_group")).args[0]) for item in items))


def test_no_test_is_lost_and_those_of_a_group_stay_together(some: list[pytest.Item]) -> None:
    random.Random(7).shuffle(some)  # noqa: S311  # an order, no secret
    placed = in_turn(some)

    assert sorted(map(id, placed)) == sorted(map(id, some))
    names = [str(next(item.iter_markers("xdist_group")).args[0]) for item in placed]
    assert sum(before != after for before, after in itertools.pairwise(names)) == len(set(names)) - 1
    assert in_turn([]) == []


def test_what_waits_and_what_computes_are_begun_side_by_side(some: list[pytest.Item]) -> None:
    for number in range(2, 11, 2):
        begun = groups(in_turn(some))[:number]
        assert sum(name.startswith("lab-") for name in begun) == number // 2


def test_the_longest_of_a_kind_begins_first(some: list[pytest.Item], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("lab-3", 9.0), ("lab-1", 5.0)):
        monkeypatch.setitem(SECONDS, name, seconds)  # type: ignore[arg-type]  # a dictionary, read only by its type
    assert [name for name in groups(in_turn(some)) if name.startswith("lab-")][:2] == ["lab-3", "lab-1"]


def test_every_name_in_the_table_is_that_of_tests() -> None:
    """One that is renamed would begin late, and nobody would notice."""
    files = {path.stem: path for path in TESTS.glob("*/test_*.py")}
    modules = {f"{path.parent.name}-{stem}" for stem, path in files.items()} | set(files)
    marked = {
        name
        for path in files.values()
        for name in re.findall(r"xdist_group\(f?\"([a-z0-9_-]+)", path.read_text("utf-8"))
    }
    for name in (*SECONDS, *COMPUTING):
        assert name in modules | marked or (name.endswith("-") and any(m.startswith(name) for m in modules | marked)), (
            name
        )
    assert {path.name for path in TESTS.iterdir()} >= WAITING
