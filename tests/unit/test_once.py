"""What workers share is made once, and handed on as it was made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.build.once import once


def test_whoever_comes_meanwhile_waits_and_gets_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    name, made = f"once-{uuid4()}", list[Path]()

    def make(folder: Path) -> list[str]:
        assert folder.is_dir()
        made.append(folder)
        return ["found", str(len(made))]

    with ThreadPoolExecutor(4) as workers:
        found = list(workers.map(lambda _: once(tmp_path_factory, name, make), range(8)))

    assert found == [["found", "1"]] * 8
    assert len(made) == 1


def test_what_could_not_be_made_is_tried_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    name = f"once-{uuid4()}"

    def broken(_: Path) -> str:
        raise OSError("no room")

    for _ in range(2):
        with pytest.raises(OSError, match="no room"):
            once(tmp_path_factory, name, broken)
    assert once(tmp_path_factory, name, lambda _: "at last") == "at last"
    assert once(tmp_path_factory, name, broken) == "at last"
