"""Being told to end: what a scan answers then, which status that is, and what is never cut in two."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from collections.abc import Iterator

import click
import pytest

from scanner.app import cli
from scanner.errors import ExitStatus, Interrupted
from scanner.jobs import stopping as stopping_module
from scanner.jobs.stopping import Stopping, held, telling

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Python's own, whatever the tests were started with; and nothing of ours stays."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    left = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert left == {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }


async def scan(*told: signal.Signals) -> str:
    """Works until it is told to end, as a scan does, and answers for what was done by then."""
    await asyncio.sleep(0)
    try:
        for number in told:
            os.kill(os.getpid(), number)
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "what was finished"
    return "all"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_scan_that_is_told_to_end_answers_for_what_it_has_done(number: signal.Signals) -> None:
    with Stopping() as stopping:
        assert stopping.run(scan(number)) == "what was finished"

        assert stopping.status(ExitStatus.FAILED, complete=False) == STATUSES[number]


def test_told_before_the_scan_begins_it_is_not_begun() -> None:
    with Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(Interrupted) as ended:
            stopping.run(scan())

    assert ended.value.status == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_while_what_a_scan_used_is_put_away_it_goes_on_to_its_reports(number: signal.Signals) -> None:
    async def leaves_something() -> str:
        async def put_away() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                os.kill(os.getpid(), number)

        left.append(asyncio.ensure_future(put_away()))
        await asyncio.sleep(0)
        return "all"

    left = list[asyncio.Future[None]]()
    with Stopping() as stopping:
        assert stopping.run(leaves_something()) == "all"

        assert stopping.status(ExitStatus.OK, complete=True) is ExitStatus.OK


def test_nothing_is_said_of_a_run_that_was_done_before_it_was_told() -> None:
    with Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)

        assert stopping.status(ExitStatus.FAILED, complete=True) is ExitStatus.FAILED


def test_told_while_its_reports_are_written_it_finishes_them_unless_it_is_told_again() -> None:
    with Stopping():
        os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(Interrupted) as ended:
            os.kill(os.getpid(), signal.SIGTERM)

    assert ended.value.status == 143
    assert not ended.value.kept


@pytest.mark.parametrize(("first", "second"), list(itertools.product(SIGNALS, SIGNALS)))
def test_the_status_is_of_what_it_was_told_last(
    first: signal.Signals, second: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command line, where click turns every interrupt into an abort of its own."""
    monkeypatch.setattr(stopping_module, "_TOLD_ONCE_S", 0.0)

    async def deaf() -> None:
        for number in (first, second):
            os.kill(os.getpid(), number)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(5)

    @click.command()
    def command() -> None:
        with Stopping() as stopping, telling(lambda: "nothing was kept"):
            stopping.run(deaf())

    monkeypatch.setitem(cli.COMMANDS, "deaf", cli.CommandEntry("scanner.app.cli", ""))
    monkeypatch.setattr(cli, "command", command, raising=False)

    assert cli.run(["deaf"]) == STATUSES[second]
    assert capsys.readouterr().err.endswith("; nothing was kept\n")


def test_a_signal_that_comes_twice_at_once_was_meant_once() -> None:
    """`timeout` sends it to the command, and to its group."""
    with Stopping() as stopping:
        assert stopping.run(scan(signal.SIGTERM)) == "what was finished"
        os.kill(os.getpid(), signal.SIGTERM)

        assert stopping.status(ExitStatus.FAILED, complete=False) == STATUSES[signal.SIGTERM]


def test_told_twice_the_scan_is_left() -> None:
    async def deaf() -> None:
        await asyncio.sleep(0)
        while True:
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    with Stopping() as stopping, pytest.raises(Interrupted):
        stopping.run(deaf())


@pytest.mark.parametrize("number", SIGNALS)
def test_what_it_was_started_to_ignore_stays_ignored(number: signal.Signals) -> None:
    async def quick() -> str:
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)
        return "all"

    before = signal.signal(number, signal.SIG_IGN)
    with Stopping() as stopping:
        assert stopping.run(quick()) == "all"
        assert signal.getsignal(number) is signal.SIG_IGN
    signal.signal(number, before)


def test_nothing_ends_what_is_being_kept() -> None:
    kept = []

    def keep() -> None:
        with held():
            os.kill(os.getpid(), signal.SIGINT)
            kept.append("the run")

    with pytest.raises(KeyboardInterrupt):
        keep()

    assert kept == ["the run"], "and it was told afterwards"
    with Stopping() as stopping:
        with held():
            os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.status(ExitStatus.OK, complete=False) == 143
