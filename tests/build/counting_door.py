"""A door before a real server, which counts who comes in: whoever goes past a proxy is counted here and not there."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class CountingDoor:
    """Listens at a port of its own and passes everything on to another; `entered` counts connections."""

    def __init__(self, to: tuple[str, int]) -> None:
        self.to = to
        self.entered = 0
        self.port = 0

    @contextlib.contextmanager
    def open(self) -> Iterator[CountingDoor]:
        """Be open as long as the block lasts."""
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            self.port = listening.getsockname()[1]
            thread = threading.Thread(target=self._serve, args=(listening,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                # An accept that waits is not ended by the end of its socket.
                listening.shutdown(socket.SHUT_RDWR)
                thread.join()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            self.entered += 1
            far = socket.create_connection(self.to)
            for ours, theirs in ((near, far), (far, near)):
                threading.Thread(target=_pass, args=(ours, theirs), daemon=True).start()


def _pass(ours: socket.socket, theirs: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := ours.recv(65_536):
            theirs.sendall(data)
    with contextlib.suppress(OSError):
        theirs.shutdown(socket.SHUT_RDWR)
