"""Servers that are asked to upgrade to TLS and do something else: each ends in a typed failure, in bounded time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.evidence import Failure, FailureReason
from scanner.inventory import StartTls
from scanner.probe.net.connection import Link, PreludeError
from scanner.probe.net.starttls import upgrade

REFUSED = FailureReason.STARTTLS_REFUSED
LDAP_REFUSAL = bytes.fromhex("300c02010178070a013404000400")
RDP_OWN_SECURITY = bytes.fromhex("0300000b06d00000123400")
RDP_FAILURE = bytes.fromhex("030000130ed000001234000300080005000000")


def talk(protocol: StartTls, turns: list[bytes], *, hang: bool = False, listens: bool = True) -> Failure | None:
    """Play a server that says its turns, one for each thing that it is told (or all at once, if it does not listen)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaks_first = protocol in {StartTls.SMTP, StartTls.FTP, StartTls.POP3, StartTls.IMAP}
        with contextlib.suppress(OSError):
            for number, turn in enumerate(turns):
                if listens and (number or not speaks_first):
                    await reader.read(4096)
                writer.write(turn)
                await writer.drain()
            if hang:
                await reader.read()
        writer.close()

    async def both() -> Failure | None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            link = await Link.open("127.0.0.1", server.sockets[0].getsockname()[1])
            try:
                async with asyncio.timeout(5):
                    await upgrade(link, protocol, "host.example")
            except PreludeError as error:
                return error.failure
            except ConnectionError as error:
                return Failure.of(FailureReason.RESET, error)
            finally:
                link.close()
            return None

    return asyncio.run(both())


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        (StartTls.SMTP, [b"220 here\r\n", b"250-here\r\n250-PIPELINING\r\n250 STARTTLS\r\n", b"220 go on\r\n"]),
        (StartTls.SMTP, [b"220-two\r\n220 lines\r\n", b"250 here\r\n", b"220 go on\r\n"]),
        (StartTls.FTP, [b"220-a\r\n 220 not yet\r\n220 here\r\n", b"234 go on\r\n"]),
        (StartTls.POP3, [b"+OK here\r\n", b"+OK go on\r\n"]),
        (StartTls.IMAP, [b"* OK here\r\n", b"* CAPABILITY IMAP4rev1\r\na1 OK go on\r\n"]),
        (
            StartTls.XMPP,
            [
                b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
                b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'></proceed>",
            ],
        ),
        (StartTls.LDAP, [bytes.fromhex("300c02010178070a010004000400")]),
        (StartTls.LDAP, [bytes.fromhex("30840000000c02010178070a010004000400")]),
        (StartTls.RDP, [bytes.fromhex("030000130ed00000123400021f080001000000")]),
        (StartTls.POSTGRES, [b"S"]),
    ],
)
def test_what_servers_say_when_they_agree(protocol, turns):
    assert talk(protocol, turns, hang=True) is None


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        (StartTls.SMTP, [b"554 go away\r\n"]),
        (StartTls.SMTP, [b"220 here\r\n", b"502 no\r\n"]),
        (StartTls.SMTP, [b"220 here\r\n", b"250 here\r\n", b"454 not now\r\n"]),
        (StartTls.FTP, [b"220 here\r\n", b"502 no\r\n"]),
        (StartTls.POP3, [b"+OK here\r\n", b"-ERR no\r\n"]),
        (StartTls.IMAP, [b"* OK here\r\n", b"a1 BAD no\r\n"]),
        (StartTls.IMAP, [b"* BYE busy\r\n"]),
        (StartTls.XMPP, [b"<stream:stream><stream:features><bind/></stream:features>"]),
        (StartTls.XMPP_SERVER, [b"<stream:stream><stream:error><host-unknown/></stream:error>"]),
        (
            StartTls.XMPP,
            [b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>", b"<failure/>"],
        ),
        (StartTls.LDAP, [LDAP_REFUSAL]),
        (StartTls.LDAP, [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
        (StartTls.RDP, [RDP_OWN_SECURITY]),
        (StartTls.RDP, [RDP_FAILURE]),
        (StartTls.RDP, [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
        (StartTls.POSTGRES, [b"N"]),
        (StartTls.POSTGRES, [b"E"]),
    ],
)
def test_a_refusal_is_one_and_says_what_was_said(protocol, turns):
    failure = talk(protocol, turns)
    assert failure is not None
    assert failure.reason is REFUSED
    assert failure.detail


@pytest.mark.parametrize("protocol", list(StartTls))
def test_a_connection_closed_at_once_is_reset(protocol):
    failure = talk(protocol, [b""])
    assert failure == Failure(FailureReason.RESET, "closed before the upgrade to TLS")


ENDLESS_LINE, ENDLESS_LINES = b"2" * 100_000, b"220-\r\n" * 10_000


@pytest.mark.parametrize(
    ("protocol", "turn"),
    [
        (StartTls.SMTP, ENDLESS_LINE),
        (StartTls.SMTP, ENDLESS_LINES),
        (StartTls.FTP, ENDLESS_LINES),
        (StartTls.POP3, ENDLESS_LINE),
        (StartTls.XMPP, b"<a>" * 40_000),
        (StartTls.LDAP, bytes.fromhex("3084ffffffff")),
        (StartTls.RDP, b"\x03\x00\xff\xff" + bytes(70_000)),
    ],
)
def test_an_answer_without_measure_is_too_large(protocol, turn):
    failure = talk(protocol, [turn], hang=True)
    assert failure is not None
    assert failure.reason is FailureReason.TOO_LARGE


def test_untagged_lines_without_end_are_too_large():
    failure = talk(StartTls.IMAP, [b"* OK here\r\n", b"* and more\r\n" * 5_000], hang=True)
    assert failure is not None
    assert failure.reason is FailureReason.TOO_LARGE


def test_what_the_server_said_is_made_harmless():
    failure = talk(StartTls.SMTP, [b"554 \x1b[2J" + b"x" * 500 + b"\r\n"])
    assert failure is not None
    assert "\x1b" not in failure.detail
    assert len(failure.detail) <= 200


def test_a_name_cannot_break_out_of_the_stream_header():
    said = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.read(4096))
        writer.close()

    async def both() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            link = await Link.open("127.0.0.1", server.sockets[0].getsockname()[1])
            with contextlib.suppress(PreludeError):
                await upgrade(link, StartTls.XMPP, "a'><evil b='")
            link.close()

    asyncio.run(both())
    assert b"<evil" not in said[0]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(StartTls)), st.lists(st.binary(max_size=200), max_size=3))
def test_random_answers_settle(protocol, turns):
    failure = talk(protocol, turns, listens=False)
    assert failure is None or failure.reason in {
        FailureReason.STARTTLS_REFUSED,
        FailureReason.TOO_LARGE,
        FailureReason.RESET,
    }
