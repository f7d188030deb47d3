"""The control socket: one-off runs asked of a running service. Only the service's own user (and root) may ask.

One request and one answer, each a line of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import socketserver
import stat
import struct
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from scanner.config.values import Duration, FormatName
from scanner.errors import ConfigError, StateError, UsageError
from scanner.formats import FORMATS
from scanner.service.log_fields import log_error
from scanner.state.database import cannot_use
from scanner.state.ledger import ENDED, Ledger
from scanner.validation import problems_of
from scanner.verdict import Severity

_LOG = logging.getLogger("nightseal.daemon")
_LONGEST_REQUEST = 65_536
_REQUEST_TIMEOUT_S = 10.0
_POLL_S = 0.2
_CREDENTIALS = struct.Struct("3i")


class RunOrder(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")

    schedule: str | None = None
    environments: list[str] = Field(default=[], max_length=1000)
    policy: str | None = None
    formats: list[FormatName] = Field(default=[], max_length=len(FORMATS))
    deadline: Duration | None = None
    fail_on: Severity | None = None


Check = Callable[[RunOrder], None]


class ControlServer:
    """Listens until it is stopped. `check` refuses an order that cannot be carried out, by a UsageError or ConfigError.

    `wake` is called when an order is in the ledger, and when its run has ended.
    """

    def __init__(
        self, path: Path, ledger: Ledger, check: Check, wake: Callable[[], None], stopping: threading.Event
    ) -> None:
        self._path = path
        _Handler.ledger, _Handler.check, _Handler.wake, _Handler.stopping = (
            ledger, staticmethod(check), staticmethod(wake), stopping,
        )  # fmt: skip
        try:
            # Left by a service that was killed: the lock says that nobody listens there.
            if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
                path.unlink()
            mask = os.umask(0o177)
            try:
                self._server = _Server(str(path), _Handler)
            finally:
                os.umask(mask)
        except OSError as error:
            raise cannot_use(path, error) from error
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # the standard library's signature
        """Log it as all else is logged: the standard library prints lines of its own, also between lines of JSON."""
        _LOG.exception("a request to the control socket could not be answered")


class _Handler(socketserver.StreamRequestHandler):
    timeout = _REQUEST_TIMEOUT_S
    ledger: Ledger
    check: Check
    wake: Callable[[], None]
    stopping: threading.Event

    def handle(self) -> None:
        """Answer one request."""
        try:
            answer = self._answer()
        except (OSError, TimeoutError):
            return
        except SQLAlchemyError as error:
            refused = cannot_use(self.ledger.place, error)
            log_error(_LOG, logging.ERROR, refused, "a one-off run was asked for: ")
            answer = {"error": str(refused), "outage": isinstance(refused, StateError)}
        try:
            self.wfile.write(json.dumps(answer).encode() + b"\n")
        except OSError:
            _LOG.debug("the requester has disconnected")

    def _answer(self) -> dict[str, Any]:
        credentials = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(credentials)
        if user not in {0, os.geteuid()}:
            return {"error": "only the service's own user may ask"}
        line = self.rfile.readline(_LONGEST_REQUEST)
        try:
            order = RunOrder.model_validate_json(line)
        except ValidationError as error:
            return {"error": "; ".join(map(str, problems_of(error, RunOrder)))}
        try:
            self.check(order)
        except (UsageError, ConfigError) as error:
            return {"error": str(error)}
        number = self.ledger.add_asked(order.model_dump(mode="json"), datetime.now(UTC))
        self.wake()
        _LOG.info("one-off run %(start)d was asked for", {"start": number})
        return self._outcome(number)

    def _outcome(self, number: int) -> dict[str, Any]:
        """Wait for the end of the run."""
        while not self.stopping.is_set():
            start = self.ledger.get(number)
            if start.state in ENDED:
                self.wake()
                return {
                    "state": start.state,
                    "run_id": start.run_id,
                    "exit_status": start.exit_status,
                    "summary": start.summary,
                    "reason": start.reason,
                }
            time.sleep(_POLL_S)
        return {"error": "the service is being stopped"}
