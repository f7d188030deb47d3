"""Runs sslyze's jobs: in threads, so many at a time, until their time is over."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field
from sslyze.plugins.plugin_base import ScanJob, ScanJobResult

from scanner.probe.handshake.connections import Meter


class Work(Struct):
    """Jobs of one kind: a scan command, or the one of our own under its name.

    `slowest_s` is how long the slowest took, in seconds; infinite where one was not answered. `busy` are the threads
    that do one of them.
    """

    name: str
    jobs: Sequence[ScanJob]
    results: list[ScanJobResult | None] = field(default_factory=list)
    slowest_s: float = 0.0
    busy: set[int] = field(default_factory=set)

    def do(self, index: int, meter: Meter) -> None:
        """Do one of the jobs, in whichever thread this is."""
        clock = time.monotonic()
        self.busy.add(threading.get_ident())
        result = _call(self.jobs[index])
        self.busy.discard(threading.get_ident())
        waited_s, denied = meter.take_account()
        self.slowest_s = max(self.slowest_s, time.monotonic() - clock - waited_s)
        if not denied:
            self.results[index] = result

    def finished(self) -> list[ScanJobResult] | None:
        """The results, or None where the deadline came before all of them."""
        results = [result for result in self.results if result is not None]
        return results if len(results) == len(self.jobs) else None


def run(works: Sequence[Work], at_once: int, ends: float, meter: Meter) -> None:
    """Run all jobs, `at_once` at a time, until `ends`. A thread that is then still waiting is left behind.

    Time that a job waits to be admitted is not the server's, and a job to which a connection was denied has no result.
    """
    waiting: queue.SimpleQueue[tuple[Work, int]] = queue.SimpleQueue()
    for work in works:
        work.results = [None] * len(work.jobs)
        for index in range(len(work.jobs)):
            waiting.put((work, index))

    def run_some() -> None:
        with contextlib.suppress(queue.Empty):
            while time.monotonic() < ends:
                work, index = waiting.get_nowait()
                work.do(index, meter)

    threads = [threading.Thread(target=run_some, daemon=True) for _ in range(min(at_once, waiting.qsize()))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    for work in works:
        if work.busy - meter.waiting:
            # Something was asked that has not been answered.
            work.slowest_s = float("inf")


def _call(job: ScanJob) -> ScanJobResult:
    value: Any = None
    try:
        value = job.function_to_call(*job.function_arguments)
    except Exception as error:  # noqa: BLE001  # it is handed to sslyze, which tells answers from errors
        return ScanJobResult(None, error)
    return ScanJobResult(value, None)
