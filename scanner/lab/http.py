"""What the lab's web servers answer, as data, and the small HTTP/1.1 server that answers it.

It has to survive whatever a scanner sends, so it parses as little as it can and closes on anything it does not know.
"""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field, structs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.lab.connection import Connection

PAGE: Final = "<!doctype html><html lang=en><title>Nightseal lab</title><p>This is {host}."
GOOD_HSTS: Final = ("Strict-Transport-Security", "max-age=63072000; includeSubDomains; preload")
GOOD_COOKIE: Final = ("Set-Cookie", "session=1; Path=/; Secure; HttpOnly; SameSite=Lax")

_REQUEST_LINE: Final = re.compile(rb"([A-Z]{3,10}) (\S{1,8000}) HTTP/1\.([01])\r?\n")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_HEAD_LIMIT: Final = 65_536
_UPGRADE: Final = re.compile(rb"(?is)(?:(?!\r\n\r\n).)*?\r\nupgrade:[^\r\n]*\bTLS/.*?\r\n\r\n")
SWITCHING: Final = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n"
_BODY_LIMIT: Final = 1_048_576
_FILLING: Final = b"<p>and so on\n" * 1000
_REASONS: Final = {
    200: "OK",
    301: "Moved Permanently",
    302: "Found",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
}


class Response(Struct, frozen=True):
    """One HTTP response. `{host}` and `{path}` in header values and in the body stand for what was asked for."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str = PAGE
    content_type: str = "text/html; charset=utf-8"
    methods: tuple[str, ...] = ("GET", "HEAD")
    endless: bool = False  # the body never ends
    compressed: bool = False  # for who asks for gzip


class Site(Struct, frozen=True):
    """What one port answers: by exact path, and for every other path."""

    default: Response = Response()
    routes: Mapping[str, Response] = field(default_factory=dict)

    def answer(self, method: str, target: str) -> Response:
        """Choose the answer to a request line."""
        answer = self.routes.get(target.partition("?")[0], self.default)
        return answer if method in answer.methods else Response(405, (("Allow", ", ".join(answer.methods)),), "")


GOOD_SITE: Final = Site(Response(headers=(GOOD_HSTS, GOOD_COOKIE)))


def redirect(location: str, status: int = 301) -> Response:
    """Build a redirect to `location`, in which `{host}` and `{path}` stand for what was asked for."""
    return Response(status, (("Location", location),), "", methods=("GET", "HEAD", "POST"))


REDIRECT_TO_HTTPS: Final = Site(redirect("https://{host}{path}"))


def serve(connection: Connection, site: Site, host: str) -> None:
    """Answer requests on one connection until the client closes it, asks for it, or says something unknown."""
    while first := connection.peek():
        # What is no text, as a ClientHello, has no lines to wait for: the answer comes at once, as nginx gives it.
        head = connection.read_until(_HEAD_END, _HEAD_LIMIT) if first.isalpha() else b""
        if head is None:
            return
        request = _REQUEST_LINE.match(head)
        if request is None:
            connection.send(_render(Response(400, (), ""), host, "/", close=True))
            return
        if not _skip_body(connection, head):
            return
        method, target, minor = request[1].decode("latin-1"), request[2].decode("latin-1"), request[3]
        close = minor == b"0" or re.search(rb"(?im)^connection:[^\r\n]*\bclose\b", head) is not None
        answer = site.answer(method, target)
        close = close or answer.endless
        if answer.compressed and re.search(rb"(?im)^accept-encoding:[^\r\n]*\bgzip\b", head):
            answer = structs.replace(answer, headers=(*answer.headers, ("Content-Encoding", "gzip")))
        connection.send(_render(answer, host, target, close=close, head_only=method == "HEAD"))
        while answer.endless and method != "HEAD":
            connection.send(_FILLING)
        if close:
            return


def asks_for_tls(connection: Connection) -> bool:
    """Take a request that asks the connection to go over to TLS (RFC 2817); any other is left to be read."""
    while connection.peek().isalpha() and not _HEAD_END.search(connection.unread):
        if not connection.fill(_HEAD_LIMIT):
            return False
    return connection.take(_UPGRADE) is not None


def _skip_body(connection: Connection, head: bytes) -> bool:
    """Read a request's body and forget it; false where that cannot be done (chunked, or too long to be meant well)."""
    if re.search(rb"(?im)^transfer-encoding:", head):
        return False
    length = re.search(rb"(?im)^content-length:[ \t]*(\d{1,9})\s*$", head)
    return length is None or (int(length[1]) <= _BODY_LIMIT and connection.read_exactly(int(length[1])) is not None)


def _render(answer: Response, host: str, path: str, *, close: bool, head_only: bool = False) -> bytes:
    def fill(text: str) -> str:
        return text.replace("{host}", host).replace("{path}", path)

    body = fill(answer.body).encode()
    if ("Content-Encoding", "gzip") in answer.headers:
        body = gzip.compress(body)
    headers = [
        ("Content-Type", answer.content_type),
        *([] if answer.endless else [("Content-Length", str(len(body)))]),
        ("Connection", "close" if close else "keep-alive"),
        *((name, fill(value)) for name, value in answer.headers),
    ]
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
    return head if head_only else head + body
