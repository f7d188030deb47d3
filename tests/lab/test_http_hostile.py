"""The HTTP probe against servers that mean ill, or are broken: a typed failure or a cut-off answer, always in time."""

from __future__ import annotations

import asyncio
import gzip
import itertools

import pytest

from scanner.evidence import ChainEnd, FailureReason, HttpProbe
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.probe import ProbeSettings
from scanner.probe.http.probe import probe_http
from tests.build import virtual_time
from tests.build.http_servers import Handler, read_request, saying, serving

HOST = "shop.example"
ENVIRONMENT = Environment("test", EnvironmentKind.ON_PREMISES)
SETTINGS = ProbeSettings(timeout_s=0.5, deadline_s=20)
# Where a size must be what ends it, on a machine that is busy with other tests too.
PATIENT = ProbeSettings(timeout_s=15, deadline_s=30)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def ask(handler: Handler, settings: ProbeSettings = SETTINGS) -> HttpProbe:
    """What the probe sees of a plain HTTP port that is served so."""

    async def run() -> HttpProbe:
        async with serving(handler) as log, serving(close_at_once) as other:
            target = Target(Endpoint("test", HOST, 443, http_port=80), Address("127.0.0.1", other.port, log.port))
            attempt, _ = await probe_http(target, ENVIRONMENT, settings, frozenset({HOST}))
            found = attempt.value.find("http")
            assert found is not None
            return found

    return virtual_time.run_with_servers(run())


async def close_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def sending(head: bytes, parts, pause: float = 0) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head)
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        await asyncio.sleep(60)

    return handle


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (OK + b"\r\n", b"<p>and so on" * 1000),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
        (OK + b"Content-Length: 999999999999\r\n\r\n", b"x" * 10_000),
    ],
)
def test_an_endless_body_is_cut_off(head, part):
    hop = ask(sending(head, itertools.repeat(part))).first
    assert (hop.status, hop.body_bytes, hop.body_truncated) == (200, SETTINGS.max_body_bytes, True)


def test_chunks_of_one_byte_are_given_up_for_their_framing():
    hop = ask(sending(OK + b"Transfer-Encoding: chunked\r\n\r\n", itertools.repeat(b"1\r\nx\r\n" * 5000))).first
    assert hop.status == 200
    assert hop.body_truncated
    assert hop.body_bytes < SETTINGS.max_body_bytes


def test_a_body_that_drips_is_cut_off_in_time():
    hop = ask(sending(OK + b"\r\n", itertools.repeat(b"x"), pause=0.05)).first
    assert (hop.status, hop.body_truncated) == (200, True)
    assert 0 < hop.body_bytes < 1000


def test_headers_that_drip_run_out_of_time():
    hop = ask(sending(OK, (b"X-%d: y\r\n" % number for number in itertools.count()), pause=0.05)).first
    assert (hop.status, hop.content_type, hop.headers_cut) == (200, "text/html", True)
    assert hop.incomplete.reason is FailureReason.TIMED_OUT


@pytest.mark.parametrize(
    "parts",
    [
        [b"X: " + b"a" * 10_000_000],
        itertools.repeat(b"X: " + b"a" * 1000 + b"\r\n"),
        itertools.repeat(b"X: y\r\n" * 1000),
        itertools.repeat(b"Set-Cookie: a=b\r\n" * 1000),
    ],
)
def test_headers_without_end_are_too_large(parts):
    hop = ask(sending(OK, parts), PATIENT).first
    assert (hop.status, hop.headers_cut, hop.incomplete.reason) == (200, True, FailureReason.TOO_LARGE)


def test_provisional_answers_without_end_are_too_large():
    parts = itertools.repeat(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000)
    assert ask(sending(b"", parts), PATIENT).first.failure.reason is FailureReason.TOO_LARGE


def test_a_compressed_bomb_is_read_to_the_limit_alone():
    bomb = gzip.compress(b"<p>" * 20_000_000)
    assert len(bomb) < SETTINGS.max_body_bytes
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    hop = ask(saying(head + bomb)).first
    assert (hop.body_bytes, hop.body_truncated) == (SETTINGS.max_body_bytes, True)


def test_a_body_shorter_than_announced_is_marked():
    hop = ask(saying(OK + b"Content-Length: 100\r\n\r\n<p>short")).first
    assert (hop.status, hop.body_bytes, hop.body_truncated) == (200, 8, True)


def test_a_body_longer_than_announced_is_read_as_announced():
    hop = ask(saying(OK + b"Content-Length: 3\r\n\r\n<p>longer")).first
    assert (hop.status, hop.body_bytes, hop.body_truncated) == (200, 3, False)


@pytest.mark.parametrize(
    ("lines", "irregularity"),
    [
        (b"Content-Length: -1\r\n", "a Content-Length that is not a number"),
        (b"Content-Length: 3\r\nContent-Length: 4\r\n", "several values of Content-Length: 3, 4"),
        (b"no colon here\r\n", "a header line without a colon: no colon here"),
        (b"X: \x00\r\n", "a header with control characters: X"),
        (b"X-Frame-Options : DENY\r\n", "a space before the colon: X-Frame-Options"),
    ],
)
def test_a_malformed_line_is_overlooked_and_told(lines, irregularity):
    hop = ask(saying(OK + lines + b"Strict-Transport-Security: max-age=1\r\n\r\nabc")).first
    assert (hop.status, hop.hsts, hop.body_bytes) == (200, ("max-age=1",), 3)
    assert hop.irregularities == (irregularity,)


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 099 Early\r\n\r\n",
        b"\xff\xfe\x00\r\n\r\n",
        b"no line at all",
    ],
)
def test_what_is_no_http_is_malformed(answer):
    failure = ask(saying(answer)).first.failure
    assert failure.reason is FailureReason.MALFORMED
    assert failure.detail.isprintable()


def test_a_port_that_answers_tls_to_plain_http():
    failure = ask(saying(b"\x15\x03\x01\x00\x02\x02\x46")).first.failure
    assert failure.reason is FailureReason.TLS_ONLY
    assert failure.detail == "the port answers plain HTTP with TLS"


def test_closing_without_an_answer_is_a_reset():
    assert ask(saying(b"")).first.failure.reason is FailureReason.RESET


def test_of_an_answer_broken_off_in_its_headers_the_beginning_is_kept():
    hop = ask(saying(OK + b"Strict-Transport-Security: max-age=1\r\nServer: half of a l")).first
    assert (hop.status, hop.content_type, hop.hsts, hop.server) == (200, "text/html", ("max-age=1",), "")
    assert (hop.headers_cut, hop.incomplete.reason, hop.failure) == (True, FailureReason.RESET, None)


def test_half_a_status_line_is_no_answer():
    assert ask(saying(b"HTTP/1.1 20")).first.failure.reason is FailureReason.RESET


def test_of_a_body_that_breaks_off_the_beginning_is_kept_with_the_reason():
    hop = ask(saying(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n<p>so\r\nno chunk\r\n")).first
    assert (hop.status, hop.body_bytes, hop.headers_cut) == (200, 5, False)
    assert hop.incomplete.reason is FailureReason.MALFORMED


def test_silence_times_out_and_the_deadline_is_kept():
    silent = sending(b"", [])
    assert ask(silent).first.failure.reason is FailureReason.TIMED_OUT
    late = ProbeSettings(timeout_s=30, deadline_s=0.5)
    assert ask(silent, late).first.failure.reason is FailureReason.DEADLINE


def test_invalid_utf8_everywhere_gives_printable_evidence():
    answer = (
        OK.replace(b"text/html", b"text/html; charset=\xff")
        + b"Server: \xff\xfe\xc0\r\nStrict-Transport-Security: max-age=\xff\r\nSet-Cookie: \xff=1\r\n\r\n"
        + b"\xff<script>\xc3("
    )
    hop = ask(saying(answer)).first
    assert hop.server == "ÿþÀ"
    assert hop.hsts == ("max-age=\\xff",)
    assert hop.cookies[0].name.isprintable()


@pytest.mark.parametrize(
    ("location", "recorded"),
    [
        (b"javascript:alert(1)", "javascript:alert(1)"),
        (b"file:///etc/passwd", "file:///etc/passwd"),
        (b"https://[::1", "https://[::1"),
        (b"https://a b/", "https://a b/"),
        (b"http://", "http://"),
    ],
)
def test_a_redirect_to_what_is_no_address_of_http_is_recorded_alone(location, recorded):
    probe = ask(saying(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"))
    assert (probe.end, len(probe.hops), probe.first.location) == (ChainEnd.BAD_LOCATION, 1, recorded)


@pytest.mark.parametrize(
    "location",
    [
        b"http://169.254.169.254/latest",
        b"http://[::1]:6379/",
        b"//localhost/",
        b"https://elsewhere.example/",
        b"http://shop.example:22/",
    ],
)
def test_a_redirect_to_where_nobody_configured_is_recorded_and_not_followed(location):
    probe = ask(saying(b"HTTP/1.1 301 Moved\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"))
    assert (probe.end, len(probe.hops)) == (ChainEnd.OUT_OF_SCOPE, 1)


def test_two_places_at_once_are_no_place():
    answer = b"HTTP/1.1 301 Moved\r\nLocation: https://shop.example/\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
    assert ask(saying(answer)).end is ChainEnd.BAD_LOCATION


def test_redirects_without_end_are_given_up():
    counter = itertools.count()

    async def onward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n" % next(counter))

    probe = ask(onward)
    assert (probe.end, len(probe.hops)) == (ChainEnd.TOO_MANY, SETTINGS.max_redirects + 1)


def test_a_location_of_ten_thousand_characters_is_followed_and_cut_in_the_evidence():
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        if request.startswith(b"GET / "):
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /" + b"a" * 10_000 + b"\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request) + request)

    probe = ask(handle)
    assert probe.last.body_bytes > 10_000
    assert len(probe.first.location) == len(probe.last.url) == 500
