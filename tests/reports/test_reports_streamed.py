"""Data are written as they are made: what is in memory besides the run does not grow with its targets."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from reports import drawing_process
from reports.drawing_process import PANGO_PACKAGES, lay_out_apart
from reports.export.json.streamed import Lazy, json_pieces_of, not_empty
from reports.packing import Attachment, pack
from reports.templating import folders_of
from scanner.errors import OutputError
from scanner.jobs.destinations import put, write_whole
from scanner.jobs.output import Rendering, render, rendered
from tests.build.judged import judged_record
from tests.build.many import many

_BLOCK = 65_536
"""Bytes that are gathered before they are handed on."""
STREAMED = ("json", "csv", "csv-excel", "oscal", "cyclonedx", "cyclonedx-1.7", "evidence")


@cache
def rendering(count: int) -> Rendering:
    judged = many(judged_record(4), count)
    policies, environments = tuple(judged.policies.values()), tuple(judged.environments.values())
    return Rendering(judged.record, policies=policies, environments=environments)


@pytest.mark.parametrize("name", STREAMED)
def test_pieces_are_the_document_and_none_grows_with_the_targets(name: str) -> None:
    few, more = ([*rendered(rendering(count), name)] for count in (20, 80))
    assert b"".join(more) == render(rendering(80), name)
    assert sum(map(len, more)) > 2 * sum(map(len, few))
    # The list of all names that CycloneDX begins with is one. What is whole, as a policy is, goes with what waited.
    assert max(map(len, more)) < max(map(len, few)) + _BLOCK


@pytest.mark.parametrize("name", STREAMED)
def test_little_more_than_a_target_is_in_memory(name: str) -> None:
    def peak(count: int) -> tuple[int, int]:
        given = rendering(count)
        for _ in rendered(given, name):  # whatever is loaded and kept for the next time
            pass
        tracemalloc.start()
        try:
            size = sum(map(len, rendered(given, name)))
            return size, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    (few, before), (more, after) = peak(20), peak(120)
    assert after - before < (more - few) / 4, "of what there is more to write, a small part waits in memory"


class TestJson:
    def test_is_that_of_lists(self) -> None:
        def lazy(pieces: type) -> object:
            items = [{"a": [1, "é\n"]}, Lazy({"b": pieces([Lazy({"c": pieces([])}), 2])})]
            return Lazy({"list": pieces(items), "none": pieces([]), "text": "x", "null": None, "plain": {"d": [[]]}})

        expected = json.dumps(lazy(list), ensure_ascii=False, separators=(",", ":"))
        assert b"".join(json_pieces_of(lazy(iter))).decode() == expected

    def test_comes_in_pieces(self) -> None:
        pieces = [*json_pieces_of(iter(["x" * 1000] * 1000))]
        assert len(pieces) > 10
        assert json.loads(b"".join(pieces)) == ["x" * 1000] * 1000

    def test_of_no_items_there_is_none(self) -> None:
        assert not_empty(()) is None
        assert list(not_empty(iter((1, 2))) or ()) == [1, 2]


def failing() -> Iterator[bytes]:
    yield b"half of it"
    raise RuntimeError("it cannot be drawn")


class TestWriting:
    def test_a_file_is_written_piece_by_piece(self, tmp_path: Path) -> None:
        put(tmp_path / "file", iter([b"one ", b"two"]))
        assert (tmp_path / "file").read_bytes() == b"one two"

    def test_what_fails_half_way_leaves_what_was_there(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"before")
        with pytest.raises(RuntimeError):
            write_whole(path, failing())
        assert path.read_bytes() == b"before"
        assert list(tmp_path.iterdir()) == [path]

    def test_what_fails_half_way_writes_nothing_into_a_pipe(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as read:
            with pytest.raises(RuntimeError):
                put(path, failing())
            assert read.read() == b""


def test_what_is_packed_as_it_comes_is_known_by_all_of_it() -> None:
    packed = pack([b"one ", b"", b"two"])
    assert zlib.decompress(packed.content) == b"one two"
    assert packed.size == len(b"one two")
    assert packed.sha256 == hashlib.sha256(b"one two").hexdigest()
    assert packed.md5 == hashlib.md5(b"one two", usedforsecurity=False).hexdigest()
    assert Attachment("a.txt", b"one two", "").packed.size == packed.size


class TestDrawingApart:
    """What becomes of a process that draws, and of who waits for it."""

    def drawn(self) -> bytes:
        return lay_out_apart(
            "<html lang='en'><title>A report</title><p>A report",
            folders=folders_of(None),
            identifier="run",
            moment=datetime(2026, 1, 1, tzinfo=UTC),
            attachments=[],
        )

    def test_draws(self) -> None:
        assert self.drawn().startswith(b"%PDF-1.7")

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL, as the kernel does where memory is short"),
            ("import sys; sys.exit(3)", PANGO_PACKAGES),
            ("raise ValueError('nothing to draw')", "a PDF cannot be drawn: ValueError: nothing to draw"),
            ("import sys; sys.exit(7)", "the process that draws it ended with 7"),
        ],
    )
    def test_says_why_it_did_not(self, code: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drawing_process, "_BEGIN", code)
        with pytest.raises(OutputError, match=said):
            self.drawn()

    def test_ends_with_who_started_it(self) -> None:
        page = b"<p>A page that takes long" + b"<p>" * 3000
        folders = [str(folder) for folder in folders_of(None)]
        order = {
            "page": len(page),
            "folders": folders,
            "identifier": "",
            "moment": "2026-01-01",
            "attachments": [],
        }
        command = [sys.executable, "-P", "-c", drawing_process._BEGIN, *sys.path]
        done = subprocess.run(
            command, input=json.dumps(order).encode() + b"\n" + page, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")
