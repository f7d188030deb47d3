"""What watches the watcher: /healthz and /metrics over HTTP, on loopback unless configured otherwise.

Every value is read from the state file when it is asked for, so that a restart changes none.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy import Engine

from scanner.errors import ListenError, UsageError
from scanner.inventory import address_of
from scanner.service.address import http_address
from scanner.service.health import alive, health
from scanner.service.metrics import StateCollector

if TYPE_CHECKING:
    from scanner.service.loop import Service

_REQUEST_TIMEOUT_S = 10.0


class MonitoringServer:
    """Serves until it is stopped."""

    def __init__(self, address: str, service: Service, engine: Engine) -> None:
        registry = CollectorRegistry()
        registry.register(StateCollector(service, engine))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        _Handler.metrics = staticmethod(lambda: generate_latest(registry))
        _Handler.health = staticmethod(lambda: health(service, engine))
        _Handler.alive = staticmethod(lambda: alive(service))
        try:
            host, port = http_address(address)
            self._server = _server_of(host)((host, port), _Handler)
        except ValueError as error:
            raise UsageError(f'[daemon] http: "{address}" {error}') from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise ListenError(f"{address}: cannot listen there: {reason} ([daemon] http)") from error
        self._server.daemon_threads = True
        self.address = address_of(host, self._server.server_port)
        threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _SixServer(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _server_of(host: str) -> type[ThreadingHTTPServer]:
    return _SixServer if ":" in host else ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    server_version = "nightseal"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT_S
    metrics: Callable[[], bytes]
    health: Callable[[], tuple[bool, dict[str, Any]]]
    alive: Callable[[], bool]

    def do_GET(self) -> None:  # the standard library's name
        """Answer."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            well, body = self.health()
            status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, json.dumps(body).encode(), "application/json")
        elif path == "/livez":
            status = HTTPStatus.OK if self.alive() else HTTPStatus.SERVICE_UNAVAILABLE
            self._send(status, f"{status.phrase}\n".encode(), "text/plain; charset=utf-8")
        elif path == "/metrics":
            self._send(HTTPStatus.OK, self.metrics(), CONTENT_TYPE_LATEST)
        else:
            self._send(HTTPStatus.NOT_FOUND, b"/healthz, /livez and /metrics are here\n", "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the standard library's name
        """A line for each scrape would tell nobody anything."""
