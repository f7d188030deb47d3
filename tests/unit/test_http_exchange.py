"""The exchange as a state machine: bytes in, bytes and a result out. No socket, no clock."""

from __future__ import annotations

import itertools

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.evidence import Failure, FailureReason
from scanner.probe.http.exchange import Exchange, ExchangeState
from scanner.probe.http.messages import NoResponse, Request, Response
from scanner.probe.http.url import Url

LIMIT = 1000
SECURE = Url.of("https", "shop.example", 8443, "/a?b")
PLAIN = Url.of("http", "shop.example", 80, "/a?b")
GET = Request("GET", PLAIN, ("192.0.2.1", 80), (("Accept", "*/*"),))
GONE = Failure(FailureReason.RESET)


def begun(request: Request = GET, protocol: str | None = None, for_proxy=None) -> Exchange:
    exchange = Exchange(request, user_agent="Nightseal/1", max_body_bytes=LIMIT, for_proxy=for_proxy)
    exchange.connection_made()
    exchange.ready(protocol)
    return exchange


def told(*parts: bytes, request: Request = GET) -> Response | NoResponse:
    """What comes of it where a server sends these parts, then closes the connection."""
    exchange = begun(request)
    for part in parts:
        exchange.receive(part)
    exchange.receive(b"")
    assert exchange.finished
    return exchange.result()


def test_the_states_of_an_exchange():
    exchange = Exchange(GET, user_agent="Nightseal/1", max_body_bytes=LIMIT)
    seen = [exchange.state]
    assert exchange.data_to_send() == b""
    exchange.connection_made()
    exchange.ready()
    seen.append(exchange.state)
    assert exchange.data_to_send().startswith(b"GET /a?b HTTP/1.1\r\nHost: shop.example\r\n")
    assert exchange.data_to_send() == b""
    exchange.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
    seen.append(exchange.state)
    exchange.receive(b"k")
    seen.append(exchange.state)
    assert seen == list(ExchangeState)
    response = exchange.result()
    assert isinstance(response, Response)
    assert (response.status, response.body, response.truncated, response.incomplete) == (200, b"ok", False, None)


def test_what_happens_after_the_end_changes_nothing():
    exchange = begun()
    exchange.receive(b"HTTP/1.1 204 No Content\r\n\r\nand more")
    result = exchange.result()
    exchange.receive(b"HTTP/1.1 500 Oh\r\n\r\n")
    exchange.fail(GONE)
    assert exchange.result() == result


def test_the_request_over_http11_has_its_body_and_length():
    request = Request("POST", SECURE, ("192.0.2.1", 1), (("Content-Type", "text/xml"),), b"<a/>")
    sent = begun(request).data_to_send()
    assert sent.startswith(b"POST /a?b HTTP/1.1\r\nHost: shop.example:8443\r\nUser-Agent: Nightseal/1\r\n")
    assert b"\r\nContent-Length: 4\r\n" in sent
    assert sent.endswith(b"\r\n\r\n<a/>")


def test_a_proxy_of_http_gets_the_whole_address():
    sent = begun(for_proxy=(("Proxy-Authorization", "Basic eA=="),)).data_to_send()
    assert sent.startswith(b"GET http://shop.example/a?b HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic eA==\r\n" in sent


@pytest.mark.parametrize(
    ("before", "connected"), [(lambda _: None, False), (lambda exchange: exchange.connection_made(), True)]
)
def test_where_nothing_came_the_reason_stands(before, connected):
    exchange = Exchange(GET, user_agent="x", max_body_bytes=LIMIT)
    before(exchange)
    exchange.fail(Failure(FailureReason.REFUSED))
    assert exchange.result() == NoResponse(Failure(FailureReason.REFUSED), connected)


HEAD = b"HTTP/1.1 200 OK\r\n"
WELL = b"Strict-Transport-Security: max-age=1\r\n\r\nok"


@pytest.mark.parametrize(
    ("head", "irregularity"),
    [
        (b"", None),
        (b"X-Frame-Options : DENY\r\n", "a space before the colon: X-Frame-Options"),
        (b"X-Frame-Options\t: DENY\r\n", "a space before the colon: X-Frame-Options"),
        (b"HTTP/1.1 200 OK\r\n", "a header line without a colon: HTTP/1.1 200 OK"),
        (b"no colon\n", "a header line without a colon: no colon"),
        (b": no name\r\n", "a header whose name is malformed"),
        (b"a b: c\r\n", "a header whose name is malformed: a b"),
        (b"\xff: c\r\n", "a header whose name is malformed: \\xff"),
        (b"X: a\x00b\r\n", "a header with control characters: X"),
        (b"X: a\r b\r\n", "a header with control characters: X"),
        (b" early\r\n", "a blank line in place of a header"),
        (b"X: a\r\n b\r\n", "a header that continues on the next line: X"),
        (b"Content-Length: 2\r\nContent-Length: 9\r\n", "several values of Content-Length: 2, 9"),
        (b"Content-Length: 2, 9\r\n", "several values of Content-Length: 2, 9"),
        (b"Content-Length: two\r\n", "a Content-Length that is not a number"),
        (b"Content-Length: -2\r\n", "a Content-Length that is not a number"),
    ],
)
def test_one_malformed_line_hides_nothing_else(head, irregularity):
    response = told(HEAD + head + WELL)
    assert isinstance(response, Response)
    assert (response.status, response.body, response.incomplete) == (200, b"ok", None)
    assert (b"Strict-Transport-Security", b"max-age=1") in response.headers
    assert response.irregularities == ((irregularity,) if irregularity else ())


def test_a_length_beside_chunks_is_told_and_the_chunks_count():
    response = told(HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert (response.body, response.truncated) == (b"ok", False)
    assert response.irregularities == ("Content-Length together with Transfer-Encoding",)


def test_equal_lengths_are_one():
    response = told(HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")
    assert (response.body, response.truncated, response.irregularities) == (b"ok", False, ())


@pytest.mark.parametrize(
    "status_line",
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.0 200 Fine", b"HTTP/1.1  200 OK", b"HTTP/2 200 OK"),
        b"HTTP/1.1 200 \xff\x01",
    ],
)
@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
def test_status_lines_that_browsers_take(status_line, ending):
    response = told(status_line + ending + b"A: b" + ending + ending + b"ok")
    assert (response.status, response.body, list(response.headers)) == (200, b"ok", [(b"A", b"b")])


@pytest.mark.parametrize(
    "answer",
    [
        *(b"220 mail.example\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n"),
        *(b"htp/1.1 200 OK\r\n\r\n", b"HTTP/1.1200 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n", b"<html>", b"SSH-2.0-x\r\n"),
        b"HTTP/1.1 -12 OK\r\n\r\n",
    ],
)
def test_what_has_no_status_line_is_no_http(answer):
    outcome = told(answer)
    assert outcome == NoResponse(Failure(FailureReason.MALFORMED, "the answer is not HTTP"), connected=True)


def test_empty_lines_before_the_answer_are_overlooked():
    response = told(b"\r\n\n" + HEAD + b"\r\n")
    assert (response.status, response.irregularities) == (200, ("an empty line before the status line",))


@pytest.mark.parametrize("word", [b"http", b"Http"])
def test_a_status_line_in_small_letters_is_read_as_browsers_do(word):
    response = told(HEAD.replace(b"HTTP", word, 1) + b"\r\n")
    told_of = ("a status line that does not write HTTP in capitals",)
    assert (response.status, response.irregularities) == (200, told_of)


def test_provisional_answers_are_passed_over():
    response = told(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"\r\nok")
    assert (response.status, list(response.headers), response.body) == (200, [], b"ok")


def test_provisional_answers_alone_are_none():
    outcome = told(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n")
    assert isinstance(outcome, NoResponse)
    assert outcome.failure.reason is FailureReason.RESET


@pytest.mark.parametrize("status", [b"204", b"304", b"101"])
def test_some_answers_have_no_body_whatever_they_announce(status):
    response = told(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 5\r\n\r\nhello")
    assert (response.status, response.body, response.incomplete) == (int(status), b"", None)


def test_an_answer_to_head_has_no_body():
    request = Request("HEAD", PLAIN, ("192.0.2.1", 80))
    response = told(HEAD + b"Content-Length: 5\r\n\r\n", request=request)
    assert (response.body, response.truncated) == (b"", False)


@pytest.mark.parametrize(
    ("answer", "headers", "body", "cut"),
    [
        (HEAD, [], b"", True),
        (HEAD + b"A: b\r\nC: hal", [(b"A", b"b")], b"", True),
        (HEAD + b"A: b\r\nContent-Length: 9\r\n\r\nhalf", [(b"A", b"b"), (b"Content-Length", b"9")], b"half", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nha", [(b"Transfer-Encoding", b"chunked")], b"ha", False),
    ],
)
def test_what_was_received_by_then_is_kept(answer, headers, body, cut):
    for end, reason in ((lambda it: it.receive(b""), FailureReason.RESET), (late, FailureReason.DEADLINE)):
        exchange = begun()
        exchange.receive(answer)
        end(exchange)
        response = exchange.result()
        assert isinstance(response, Response)
        assert (list(response.headers), response.body, response.headers_cut) == (headers, body, cut)
        assert (response.truncated, response.incomplete.reason) == (True, reason)


def late(exchange: Exchange) -> None:
    exchange.fail(Failure(FailureReason.DEADLINE))


def test_a_body_stops_at_the_limit_and_nothing_broke_off():
    exchange = begun()
    exchange.receive(HEAD + b"\r\n" + b"x" * (LIMIT + 1))
    assert exchange.finished
    response = exchange.result()
    assert (len(response.body), response.truncated, response.incomplete) == (LIMIT, True, None)


@pytest.mark.parametrize(
    ("head", "part"),
    [(HEAD, b"X: " + b"a" * 1000 + b"\r\n"), (HEAD, b"a" * 1000), (b"\r\n", b"HTTP/1.1 103 X\r\n\r\n" * 50)],
    ids=["headers", "header", "provisional"],
)
def test_headers_without_end_are_too_large(head, part):
    exchange = begun()
    exchange.receive(head)
    for _ in itertools.takewhile(lambda _: not exchange.finished, range(1000)):
        exchange.receive(part)
    outcome = exchange.result()
    failure = outcome.failure if isinstance(outcome, NoResponse) else outcome.incomplete
    assert (failure.reason, failure.detail) == (FailureReason.TOO_LARGE, "the headers are too large")


@pytest.mark.parametrize("record", [b"\x15\x03\x01\x00\x02\x02\x46", b"\x16\x03\x03\x00\x00"])
def test_a_plain_port_that_answers_in_tls(record):
    for parts in ((record,), (record[:1], record[1:])):
        outcome = told(*parts)
        assert outcome.failure == Failure(FailureReason.TLS_ONLY, "the port answers plain HTTP with TLS")


def server_of(exchange: Exchange) -> tuple[h2.connection.H2Connection, list[h2.events.Event]]:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    return connection, connection.receive_data(exchange.data_to_send())


def test_a_page_over_http2():
    exchange = begun(Request("GET", SECURE, ("192.0.2.1", 1), (("Accept", "*/*"),)), "h2")
    server, events = server_of(exchange)
    (received,) = (event for event in events if isinstance(event, h2.events.RequestReceived))
    assert dict(received.headers) == {
        ":method": "GET",
        ":authority": "shop.example:8443",
        ":scheme": "https",
        ":path": "/a?b",
        "user-agent": "Nightseal/1",
        "accept-encoding": "identity",
        "accept": "*/*",
    }
    server.send_headers(received.stream_id, [(":status", "103"), ("link", "</a>")])
    server.send_headers(received.stream_id, [(":status", "200"), ("a", "1"), ("a", "2")])
    server.send_data(received.stream_id, b"ok", end_stream=True)
    exchange.receive(server.data_to_send())
    response = exchange.result()
    assert (response.status, response.http_version, response.body) == (200, "HTTP/2", b"ok")
    assert (list(response.headers), response.truncated) == ([(b"a", b"1"), (b"a", b"2")], False)


def test_http2_that_breaks_off_is_worth_http11_and_keeps_what_it_gave():
    exchange = begun(Request("GET", SECURE, ("192.0.2.1", 1)), "h2")
    server, _ = server_of(exchange)
    server.send_headers(1, [(":status", "200")])
    server.send_data(1, b"half")
    server.close_connection(h2.errors.ErrorCodes.INADEQUATE_SECURITY)
    exchange.receive(server.data_to_send())
    response = exchange.result()
    assert (response.status, response.body, response.headers_cut) == (200, b"half", False)
    assert response.incomplete.detail == "the server ended the connection over HTTP/2: INADEQUATE_SECURITY"
    assert exchange.worth_http11
    assert not exchange.demands_http11


def test_over_http11_nothing_is_worth_http11():
    exchange = begun()
    exchange.receive(b"")
    assert not exchange.worth_http11


@given(
    st.lists(st.integers(1, 40), max_size=30),
    st.sampled_from(
        [
            HEAD + b"A : b\r\nContent-Length: 5\r\n\r\nhello",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"\r\nHTTP/1.1 103 X\r\n\r\n" + HEAD + b"A: b\n c\n\nbody to the end",
            b"HTTP/1.1 301 M\r\nLocation: /x\r\nbroken off",
        ]
    ),
)
def test_how_an_answer_is_cut_into_parts_changes_nothing(sizes, answer):
    position, parts = 0, []
    for size in sizes:
        parts.append(answer[position : position + size])
        position += size
    assert told(*(part for part in (*parts, answer[position:]) if part)) == told(answer)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8), st.sampled_from([b"", HEAD, HEAD + b"\r\n"]))
def test_any_bytes_over_http11_give_a_result(parts, before):
    outcome = told(*(part for part in (before, *parts) if part))
    assert isinstance(outcome, NoResponse) or 100 <= outcome.status < 1000


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8))
def test_any_bytes_over_http2_give_a_result(parts):
    exchange = begun(Request("GET", SECURE, ("192.0.2.1", 1)), "h2")
    for part in parts:
        exchange.receive(part)
    exchange.receive(b"")
    assert exchange.finished
    outcome = exchange.result()
    failure = outcome.failure if isinstance(outcome, NoResponse) else outcome.incomplete
    assert failure is None or "<" not in failure.detail
