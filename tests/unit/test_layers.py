"""That unit tests are what they are called."""

from __future__ import annotations

import multiprocessing
import socket
import subprocess
from pathlib import Path

import pytest
import weasyprint

from scanner.history import History
from tests.build.layers import NotAUnitTestError, only_what_a_unit_test_may_do


def test_no_socket_is_opened() -> None:
    with socket.socket() as client, pytest.raises(NotAUnitTestError, match="tests/lab"):
        client.connect(("127.0.0.1", 9))
    with socket.socket() as server, pytest.raises(NotAUnitTestError, match="opens a socket"):
        server.bind(("127.0.0.1", 0))


def test_no_process_is_started() -> None:
    with pytest.raises(NotAUnitTestError, match="tests/acceptance"):
        subprocess.run(["true"], check=True)
    with pytest.raises(NotAUnitTestError, match="starts a process"):
        multiprocessing.Process(target=print).start()


def test_no_pdf_is_drawn() -> None:
    with pytest.raises(NotAUnitTestError, match="tests/reports"):
        weasyprint.HTML(string="<p>").write_pdf()


def test_no_history_is_written(tmp_path: Path) -> None:
    with pytest.raises(NotAUnitTestError, match="tests/history"):
        History.open(tmp_path / "history", create=True)


def test_what_is_refused_is_as_before_afterwards() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weasyprint.HTML, "render", lambda *_: "drawn")
        patch.delattr(socket.socket, "connect")
        with only_what_a_unit_test_may_do():
            with pytest.raises(NotAUnitTestError):
                weasyprint.HTML(string="<p>").render()
            with socket.socket() as client, pytest.raises(NotAUnitTestError):
                client.connect(("127.0.0.1", 9))
        assert weasyprint.HTML(string="<p>").render() == "drawn"
        assert "connect" not in vars(socket.socket), "it is inherited"
