"""A real service whose clock moves under it: a day ahead, and back again.

The clock is moved by a small library that is loaded into the service and its runs, and adds what a file says to the time
of day; how time passes stays as it is.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from scanner.history import History
from scanner.lab import Lab
from scanner.state.database import OUTBOX, open_state
from scanner.state.ledger import State
from tests.build.receivers import Webhook
from tests.build.servers import program
from tests.build.service import Service, service, wait_for

SOURCE = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *ahead;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("CLOCK_AHEAD");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(0, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (found != MAP_FAILED) ahead = found;
}

int clock_gettime(clockid_t clock, struct timespec *moment) {
    int failed = syscall(SYS_clock_gettime, clock, moment);
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) moment->tv_sec += *ahead;
    return failed;
}

int gettimeofday(struct timeval *restrict moment, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    moment->tv_sec = now.tv_sec;
    moment->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *moment) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (moment) *moment = now.tv_sec;
    return now.tv_sec;
}
"""
DAY_S = 86_400


class Clock:
    """The service's time of day: `ahead_s` seconds later than ours."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ahead"
        source, library = folder / "clock.c", folder / "clock.so"
        source.write_text(SOURCE)
        command = [program("gcc", "gcc libc6-dev"), "-O1", "-shared", "-fPIC", "-o", library, source]
        subprocess.run(command, check=True, capture_output=True)
        self.environ = {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(self._file)}
        self.ahead_s = 0
        self._file.write_bytes(struct.pack("=q", 0))

    def set(self, moment: datetime) -> None:
        """Let it be so late there now."""
        self.ahead_s = round((moment - datetime.now(UTC)).total_seconds())
        # In place: the file is mapped where it is.
        descriptor = os.open(self._file, os.O_WRONLY)
        os.pwrite(descriptor, struct.pack("=q", self.ahead_s), 0)
        os.close(descriptor)


def nights(running: Service) -> list[str]:
    """The starts that were done, by the day and hour at which they were due."""
    return [f"{start.due:%d %H}" for start in running.starts() if start.state is State.DONE]


def jumps(running: Service) -> list[int]:
    return [round(line["jump_s"] / 3600) for line in running.said("the clock jumped")]


@pytest.mark.timeout(600)
def test_a_clock_that_moves_repeats_nothing_puts_nothing_off_and_silences_nobody(
    tmp_path: Path, small_lab: Lab, hook: Webhook
) -> None:
    clock = Clock(tmp_path)
    tonight = datetime.now(UTC).replace(hour=2, minute=0, second=0, microsecond=0) + timedelta(days=2)
    evening = tonight - timedelta(minutes=10)
    day = {number: f"{tonight + timedelta(days=number):%d} 02" for number in range(3)}
    plan = {"name": "nightly", "cron": "0 2 * * *", "reports": [], "notify": ["hook"], "confirm": False}
    schedule = "[[schedule]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in plan.items())
    receiver = f'[[notify]]\nname = "hook"\nurl = "{hook.url}"\non = ["new-failure", "fixed"]\n'
    with service(tmp_path, small_lab, "expired", schedule=schedule, more=receiver) as running:
        clock.set(evening)
        running.start(as_users_do=True, **clock.environ)
        wait_for(lambda: running.said("next start"), "the service")

        # The first night, on time.
        clock.set(tonight - timedelta(seconds=3))
        wait_for(lambda: nights(running) == [day[0]], "the first night")
        wait_for(lambda: len(hook.bodies) == 1, "the message of the first night")
        wait_for(
            lambda: running.said("schedule nightly: done"), "the end of its process, which may come after the message"
        )

        # A day ahead: the night that it believes in. Nobody can be told meanwhile, and the next try is tomorrow.
        hook.mood = 503
        clock.set(tonight + timedelta(days=1, seconds=-3))
        wait_for(lambda: nights(running) == [day[0], day[1]], "the night that it believes in")
        tell_again(tmp_path, tonight + timedelta(days=1))
        wait_for(lambda: running.said("not delivered"), "a refusal by the wrong clock")
        wait_for(lambda: len(running.said("schedule nightly: done")) == 2, "the end of its process")

        # Back again: nothing is repeated, nothing is owed to tomorrow, and the message comes.
        hook.mood = 200
        clock.set(tonight + timedelta(minutes=10))
        wait_for(lambda: running.said("the clock was ahead"), "that it was ahead")
        wait_for(lambda: len(hook.bodies) == 2, "the message that waited for tomorrow")
        assert [start.state for start in running.starts()] == [State.DONE] * 2

        # The true second night.
        clock.set(tonight + timedelta(days=1, seconds=-3))
        wait_for(lambda: nights(running)[-1] == day[1], "the true second night")
        running.started[-1].terminate()
        assert running.started[-1].wait(90) == 0

        assert len(running.starts()) == 3
        assert jumps(running)[-3:] == [24, -24, 24]
        assert len(hook.bodies) == 2, "the same failures are told once, by whichever clock"
        assert History.open(tmp_path / "history", create=False).runs()["complete"].all()


def tell_again(folder: Path, moment: datetime) -> None:
    """As if the last message were told a second time."""
    engine = open_state(folder / "nightseal.sqlite")
    with engine.begin() as connection:
        (row,) = connection.execute(select(OUTBOX)).mappings().all()
        again = {**row, "delivered_at": None, "tries": 0, "created_at": moment, "not_before": moment}
        connection.execute(OUTBOX.insert().values({key: value for key, value in again.items() if key != "id"}))
    engine.dispose()
