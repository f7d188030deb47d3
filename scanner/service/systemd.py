"""What systemd wants to know of a service (sd_notify), by its socket. Elsewhere nobody is told."""

from __future__ import annotations

import contextlib
import os
import socket
import time


class Supervisor:
    """Tells systemd that the service is ready, alive, reloading or stopping."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        usec = os.environ.get("WATCHDOG_USEC", "")
        wanted = os.environ.get("WATCHDOG_PID") in {None, str(os.getpid())}
        self._every_s = int(usec) / 2e6 if usec.isdecimal() and wanted else None
        self._last = 0.0

    def ready(self, status: str) -> None:
        """The service works."""
        self._tell(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """What it is doing, for `systemctl status`."""
        self._tell(f"STATUS={status}")

    def reloading(self) -> None:
        """It reads its configuration again; `ready` ends that."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1\nSTATUS=waiting for the runs in progress")

    def alive(self) -> None:
        """It is alive: told as often as the watchdog wants, however often it is called."""
        if self._every_s is not None and time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        # A supervisor that does not listen is no reason to stop.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), address)
