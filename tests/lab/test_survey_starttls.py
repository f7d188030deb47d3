"""Servers that are asked to upgrade to TLS and do something else: each ends in a typed failure, in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanner.evidence import Attempt, Failure, FailureReason, PlainLogin, TlsEvidence
from scanner.inventory import Address, Endpoint, Role, StartTls, Target
from scanner.lab.starttls import SCRIPTS
from scanner.probe import ProbeSettings
from scanner.probe.net.connection import PreludeError, TcpStream
from scanner.probe.net.starttls import LOGINS, Names, address_literal, upgrade
from scanner.probe.survey.probe import survey
from tests.build import virtual_time

NAMES = Names("host.example")
MYSQL = SCRIPTS["mysql"].greeting
TDS_ON = SCRIPTS["mssql"].plain[0].answer
# IRC's clients need not wait for what its servers say first.
SPEAKS_FIRST = {protocol for protocol in StartTls if SCRIPTS[protocol].greeting} - {StartTls.IRC}
REFUSED, UNAVAILABLE, MALFORMED = FailureReason.STARTTLS_REFUSED, FailureReason.UNAVAILABLE, FailureReason.MALFORMED
LDAP_BUSY = bytes.fromhex("301002010178 0b0a013304000404627573 79".replace(" ", ""))
LDAP_DISCONNECTION = bytes.fromhex("300c02010078070a013404000400")
XMPP_FEATURES = b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
LDAP_REFUSAL = bytes.fromhex("300c02010178070a013404000400")
RDP_OWN_SECURITY = bytes.fromhex("0300000b06d00000123400")
RDP_FAILURE = bytes.fromhex("030000130ed000001234000300080005000000")


def talk(  # noqa: PLR0913  # how a server behaves, and what it is to be told
    protocol: StartTls,
    turns: list[bytes],
    *,
    hang: bool = False,
    listens: bool = True,
    names: Names = NAMES,
    heard: list[bytes] | None = None,
    begins: Callable[[TcpStream, Names], Awaitable[object]] | None = None,
) -> Failure | None:
    """Play a server that says its turns, one for each thing that it is told (or all at once, if it does not listen).

    What is begun with it is TLS, or what `begins`.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaks_first = protocol in SPEAKS_FIRST
        with contextlib.suppress(OSError):
            for number, turn in enumerate(turns):
                if listens and (number or not speaks_first):
                    said = await reader.read(4096)
                    if heard is not None:
                        heard.append(said)
                writer.write(turn)
                await writer.drain()
            if hang:
                await reader.read()
        writer.close()

    async def both() -> Failure | None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            stream = await TcpStream.open("127.0.0.1", server.sockets[0].getsockname()[1])
            try:
                async with asyncio.timeout(60):
                    await (begins(stream, names) if begins else upgrade(stream, protocol, names))
            except PreludeError as error:
                return error.failure
            except ConnectionError as error:
                return Failure.of(FailureReason.RESET, error)
            finally:
                stream.close()
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
        (StartTls.LMTP, [b"220 here\r\n", b"250-here\r\n250 STARTTLS\r\n", b"220 go on\r\n"]),
        (StartTls.SIEVE, [b'"IMPLEMENTATION" "a"\r\n"SIEVE" {3}\r\n"STARTTLS"\r\nOK\r\n', b'OK "go on"\r\n']),
        (StartTls.NNTP, [b"201 here\r\n", b"382 go on\r\n"]),
        (StartTls.IRC, [b":irc NOTICE AUTH :*** Looking up\r\nPING :1\r\n", b":irc 670 * :go on\r\n"]),
        (StartTls.MYSQL, [MYSQL, b""]),
        (StartTls.MSSQL, [TDS_ON]),
    ],
)
def test_what_servers_say_when_they_agree(protocol, turns):
    assert talk(protocol, turns, hang=True) is None


@pytest.mark.parametrize(
    ("protocol", "turns", "reason"),
    [
        (StartTls.LMTP, [b"220 here\r\n", b"250 here\r\n", b"502 no\r\n"], REFUSED),
        (StartTls.LMTP, [b"421 later\r\n"], UNAVAILABLE),
        (StartTls.SIEVE, [b"OK\r\n", b'NO "no"\r\n'], REFUSED),
        (StartTls.SIEVE, [b"OK\r\n", b'NO (TRYLATER) "no"\r\n'], UNAVAILABLE),
        (StartTls.SIEVE, [b'BYE "too many"\r\n'], UNAVAILABLE),
        (StartTls.SIEVE, [b"220 here\r\n"], MALFORMED),
        (StartTls.NNTP, [b"200 here\r\n", b"502 no\r\n"], REFUSED),
        (StartTls.NNTP, [b"400 later\r\n"], UNAVAILABLE),
        (StartTls.NNTP, [b"+OK\r\n"], MALFORMED),
        (StartTls.IRC, [b":irc 421 * STARTTLS :Unknown command\r\n"], REFUSED),
        (StartTls.IRC, [b":irc 691 * :no\r\n"], REFUSED),
        (StartTls.IRC, [b"ERROR :Closing Link: too many\r\n"], UNAVAILABLE),
        (StartTls.IRC, [b"<html>\r\n"], MALFORMED),
        (StartTls.MYSQL, [MYSQL.replace(b"\x00\xaa", b"\x00\xa2")], REFUSED),
        (StartTls.MYSQL, [b"\x12\x00\x00\x00\xff\x10\x04Too many of you"], UNAVAILABLE),
        (StartTls.MYSQL, [b"\x04\x00\x00\x00what"], MALFORMED),
        (StartTls.MSSQL, [TDS_ON[:-1] + b"\x02"], REFUSED),
        (StartTls.MSSQL, [b"HTTP/1.1 400"], MALFORMED),
        (StartTls.MSSQL, [b"\x04\x01\x00\x09\x00\x00\x01\x00\xff"], MALFORMED),
    ],
)
def test_what_servers_of_other_protocols_say_when_they_do_not(protocol, turns, reason):
    failure = talk(protocol, turns)
    assert failure is not None
    assert failure.reason is reason


EHLO = b"250 here\r\n"


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        (StartTls.SMTP, [b"220 here\r\n", EHLO, b"502 no\r\n"]),
        (StartTls.SMTP, [b"220 here\r\n", EHLO, b"554 5.7.3 no\r\n"]),
        (StartTls.SMTP, [b"220 here\r\n", b"502 no\r\n", b"500 no\r\n"]),
        (StartTls.FTP, [b"220 here\r\n", b"502 no\r\n"]),
        (StartTls.FTP, [b"120 soon\r\n220 here\r\n", b"534 no\r\n"]),
        (StartTls.POP3, [b"+OK here\r\n", b"-ERR no\r\n"]),
        (StartTls.IMAP, [b"* OK here\r\n", b"a1 BAD no\r\n"]),
        (StartTls.IMAP, [b"* OK here\r\n", b"a1 NO no\r\n"]),
        (StartTls.IMAP, [b"* PREAUTH welcome back\r\n"]),
        (StartTls.XMPP, [XMPP_FEATURES, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"]),
        (
            StartTls.XMPP,
            [
                b"<stream:stream><stream:features><bind/></stream:features>",
                b"<stream:error><unsupported-stanza-type/></stream:error>",
            ],
        ),
        (StartTls.LDAP, [bytes.fromhex("300c02010178070a010204000400")]),
        (StartTls.RDP, [RDP_OWN_SECURITY]),
        (StartTls.RDP, [RDP_FAILURE]),
        (StartTls.POSTGRES, [b"N"]),
    ],
)
def test_a_no_to_the_request_for_tls_is_a_refusal_and_says_what_was_said(protocol, turns):
    failure = talk(protocol, turns)
    assert failure is not None
    assert failure.reason is REFUSED
    assert failure.detail


def login(protocol: StartTls, turns: list[bytes]) -> PlainLogin | Failure | None:
    """What becomes of a login before TLS, at a server that says its turns."""
    found: list[PlainLogin] = []

    async def begins(stream: TcpStream, names: Names) -> None:
        found.append((await LOGINS[protocol](stream, names))[0])

    return talk(protocol, turns, begins=begins) or found[0]


def postgres_error(state: str, words: str) -> bytes:
    body = f"SFATAL\0VFATAL\0C{state}\0M{words}\0\0".encode()
    return b"E" + (len(body) + 4).to_bytes(4) + body


def mysql_error(code: int, words: str) -> bytes:
    body = b"\xff" + code.to_bytes(2, "little") + words.encode()
    return len(body).to_bytes(3, "little") + b"\2" + body


AUTH = b"250-here\r\n250 AUTH PLAIN\r\n"
NO_LOGIN_NOW = [
    (StartTls.SMTP, [b"220 here\r\n", b"421 4.3.2 shutting down\r\n"]),
    (StartTls.SMTP, [b"220 here\r\n", AUTH, b"454 4.7.0 Temporary authentication failure\r\n"]),
    (StartTls.SMTP, [b"220 here\r\n", AUTH, b"421 4.7.0 too many errors\r\n"]),
    (StartTls.LMTP, [b"220 here\r\n", b"421 4.3.2 shutting down\r\n"]),
    (StartTls.FTP, [b"220 here\r\n", b"421 There are too many connected users\r\n"]),
    (StartTls.POP3, [b"+OK here\r\n", b"-ERR [SYS/TEMP] the directory is away\r\n"]),
    (StartTls.NNTP, [b"200 here\r\n", b"403 internal fault\r\n"]),
    (StartTls.SIEVE, [b'"SASL" "PLAIN"\r\nOK\r\n', b'NO (TRYLATER) "the directory is away"\r\n']),
    (StartTls.SIEVE, [b'"SASL" "PLAIN"\r\nOK\r\n', b'BYE "shutting down"\r\n']),
    (StartTls.POSTGRES, [postgres_error("57P03", "the database system is starting up")]),
    (StartTls.POSTGRES, [postgres_error("53300", "sorry, too many clients already")]),
    (StartTls.MYSQL, [MYSQL, mysql_error(1203, "User has too many active connections")]),
]


@pytest.mark.parametrize(("protocol", "turns"), NO_LOGIN_NOW)
def test_a_login_that_is_turned_down_for_now_tells_nothing(protocol, turns):
    failure = login(protocol, turns)
    assert isinstance(failure, Failure), failure
    assert failure.reason is UNAVAILABLE


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        (StartTls.SMTP, [b"220 here\r\n", AUTH, b"538 5.7.11 Encryption required\r\n"]),
        # Pure-FTPd, whose code else means "not now"; ProFTPD, vsftpd.
        (StartTls.FTP, [b"220 here\r\n", b"421 Sorry, cleartext sessions are not accepted on this server.\r\n"]),
        (StartTls.FTP, [b"220 here\r\n", b"550 SSL/TLS required on the control channel\r\n"]),
        (StartTls.POP3, [b"+OK here\r\n", b"-ERR [AUTH] Plaintext authentication disallowed\r\n"]),
        (StartTls.NNTP, [b"200 here\r\n", b"483 Encryption required\r\n"]),
        # PostgreSQL 15 and 13, PgBouncer, a cloud's.
        (StartTls.POSTGRES, [postgres_error("28000", 'no pg_hba.conf entry for host "x", no encryption')]),
        (StartTls.POSTGRES, [postgres_error("28000", 'no pg_hba.conf entry for host "x", SSL off')]),
        (StartTls.POSTGRES, [postgres_error("08P01", "SSL required")]),
        (StartTls.POSTGRES, [postgres_error("28000", "SSL connection is required. Please specify SSL options.")]),
        (StartTls.MYSQL, [MYSQL, mysql_error(3159, "Connections using insecure transport are prohibited")]),
    ],
)
def test_a_login_that_is_turned_down_for_want_of_tls_is_refused(protocol, turns):
    assert login(protocol, turns) is PlainLogin.REFUSED


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        (StartTls.SMTP, [b"220 here\r\n", AUTH, b"334 \r\n"]),
        (StartTls.FTP, [b"220 here\r\n", b"331 Password required\r\n"]),
        (StartTls.POSTGRES, [b"R\0\0\0\x08\0\0\0\0"]),
        (StartTls.POSTGRES, [postgres_error("28000", 'role "nightseal" does not exist')]),
        (StartTls.POSTGRES, [postgres_error("3D000", 'database "nightseal" does not exist')]),
        (StartTls.MYSQL, [MYSQL, mysql_error(1045, "Access denied for user 'nightseal'")]),
    ],
)
def test_a_login_that_is_begun_is_taken(protocol, turns):
    assert login(protocol, turns) is PlainLogin.TAKEN


@pytest.mark.parametrize(
    ("protocol", "turns", "words"),
    [
        (StartTls.SMTP, [b"421 4.7.0 too many connections\r\n"], "421 4.7.0 too many connections"),
        (StartTls.SMTP, [b"450 4.7.1 greylisted\r\n"], "450 4.7.1 greylisted"),
        (StartTls.SMTP, [b"554 5.7.1 blocked\r\n"], "554 5.7.1 blocked"),
        (StartTls.SMTP, [b"554-5.7.1 blocked\r\n554 see there\r\n"], "554-5.7.1 blocked"),
        (StartTls.SMTP, [b"220 here\r\n", b"450 4.7.1 Host not found\r\n"], "450 4.7.1 Host not found"),
        (StartTls.SMTP, [b"220 here\r\n", b"550 bad HELO\r\n"], "550 bad HELO"),
        (StartTls.SMTP, [b"220 here\r\n", EHLO, b"421 shutting down\r\n"], "421 shutting down"),
        (StartTls.SMTP, [b"220 here\r\n", EHLO, b"454 4.7.0 not now\r\n"], "454 4.7.0 not now"),
        (StartTls.FTP, [b"421 too many users\r\n"], "421 too many users"),
        (StartTls.FTP, [b"530 banned\r\n"], "530 banned"),
        (StartTls.FTP, [b"120 soon\r\n421 not today\r\n"], "421 not today"),
        (StartTls.FTP, [b"220 here\r\n", b"431 no resource\r\n"], "431 no resource"),
        (StartTls.POP3, [b"-ERR too many connections\r\n"], "-ERR too many connections"),
        (StartTls.POP3, [b"+OK here\r\n", b"-ERR [SYS/TEMP] later\r\n"], "-ERR [SYS/TEMP] later"),
        (StartTls.IMAP, [b"* BYE too many connections\r\n"], "* BYE too many connections"),
        (StartTls.IMAP, [b"* bye\r\n"], "* bye"),
        (StartTls.IMAP, [b"* OK here\r\n", b"* BYE shutting down\r\n"], "* BYE shutting down"),
        (StartTls.IMAP, [b"* OK here\r\n", b"a1 NO [UNAVAILABLE] later\r\n"], "a1 NO [UNAVAILABLE] later"),
        (StartTls.XMPP, [b"<stream:stream><stream:error><host-unknown/></stream:error>"], "<host-unknown/>"),
        (
            StartTls.XMPP_SERVER,
            [b"<stream:stream><stream:error><resource-constraint/></stream:error>"],
            "<resource-constraint/>",
        ),
        (
            StartTls.XMPP,
            [XMPP_FEATURES, b"<stream:error><system-shutdown/></stream:error>"],
            "<system-shutdown/>",
        ),
        (StartTls.LDAP, [LDAP_BUSY], "LDAP result code 51: busy"),
        (StartTls.LDAP, [LDAP_REFUSAL], "LDAP result code 52"),
        (StartTls.LDAP, [LDAP_DISCONNECTION], "LDAP result code 52"),
        (StartTls.RDP, [bytes.fromhex("0300000b06800000123400")], "did not confirm"),
        (StartTls.POSTGRES, [b"Ecould not fork new process\0"], "could not fork new process"),
    ],
)
def test_not_now_is_not_no(protocol, turns, words):
    failure = talk(protocol, turns)
    assert failure is not None
    assert failure.reason is UNAVAILABLE
    assert words in failure.detail


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        (StartTls.SMTP, [b"SSH-2.0-OpenSSH\r\n"]),
        (StartTls.FTP, [b"hello\r\n"]),
        (StartTls.POP3, [b"* OK IMAP\r\n"]),
        (StartTls.IMAP, [b"+OK POP3\r\n"]),
        (StartTls.LDAP, [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
        (StartTls.LDAP, [bytes.fromhex("300502010161ff")]),
        (StartTls.RDP, [b"HTTP/1.1 400 Bad Request\r\n\r\n"]),
        (StartTls.POSTGRES, [b"HTTP/1.1 400"]),
    ],
)
def test_another_protocol_neither_agrees_nor_refuses(protocol, turns):
    failure = talk(protocol, turns)
    assert failure is not None
    assert failure.reason is MALFORMED


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (NAMES, b"EHLO [127.0.0.1]\r\n"),
        (Names("host.example", helo="scanner.example"), b"EHLO scanner.example\r\n"),
        (Names("host.example", helo="[192.0.2.1]"), b"EHLO [192.0.2.1]\r\n"),
    ],
)
def test_a_mail_server_is_greeted_with_an_address_or_the_configured_name(names, said):
    heard: list[bytes] = []
    talk(StartTls.SMTP, [b"220 here\r\n", EHLO, b"220 go on\r\n"], names=names, heard=heard)
    assert heard[0] == said


def test_address_literals():
    assert address_literal("192.0.2.1") == "[192.0.2.1]"
    assert address_literal("fe80::1%eth0") == "[IPv6:fe80::1]"


@pytest.mark.parametrize(("domain", "to"), [(None, b'to="host.example"'), ("example.org", b'to="example.org"')])
def test_an_xmpp_server_is_asked_for_its_domain(domain, to):
    heard: list[bytes] = []
    talk(StartTls.XMPP, [XMPP_FEATURES], names=Names("host.example", domain=domain), heard=heard)
    assert to in heard[0]


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
            stream = await TcpStream.open("127.0.0.1", server.sockets[0].getsockname()[1])
            with contextlib.suppress(PreludeError):
                await upgrade(stream, StartTls.XMPP, Names("a'><evil b='"))
            stream.close()

    asyncio.run(both())
    assert b"<evil" not in said[0]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(list(StartTls)), st.lists(st.binary(max_size=200), max_size=3))
def test_random_answers_settle(protocol, turns):
    failure = talk(protocol, turns, listens=False)
    assert failure is None or failure.reason in {
        FailureReason.STARTTLS_REFUSED,
        FailureReason.UNAVAILABLE,
        FailureReason.MALFORMED,
        FailureReason.TOO_LARGE,
        FailureReason.RESET,
    }


def surveyed(greetings: list[bytes], deadline_s: float) -> tuple[Attempt[TlsEvidence], list[float]]:
    """Survey a mail server that greets each connection by the next of these words, and says no to STARTTLS."""

    async def run() -> tuple[Attempt[TlsEvidence], list[float]]:
        times: list[float] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            times.append(asyncio.get_running_loop().time())
            with contextlib.suppress(OSError):
                for turn in (greetings[min(len(times), len(greetings)) - 1], EHLO, b"502 no\r\n"):
                    writer.write(turn)
                    await reader.readline()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            endpoint = Endpoint("test", "mail.example", port, Role.SERVER, starttls=StartTls.SMTP)
            target = Target(endpoint, Address("127.0.0.1", port))
            attempt, connections = await survey(target, ProbeSettings(timeout_s=2, deadline_s=deadline_s))
            assert connections == len(times)
            return attempt, times

    return virtual_time.run_with_servers(run())


BUSY, READY = b"421 4.7.0 too many connections\r\n", b"220 here\r\n"


def test_a_server_that_is_busy_twice_is_unknown_and_was_asked_once_more_later():
    attempt, times = surveyed([BUSY, b"421 still busy\r\n"], deadline_s=4)
    assert attempt.failure == Failure(UNAVAILABLE, "the server answered 421 still busy")
    assert len(times) == 2
    assert times[1] - times[0] >= 0.8


def test_a_server_that_was_busy_is_judged_by_its_second_answer():
    attempt, times = surveyed([BUSY, READY], deadline_s=4)
    assert attempt.failure.reason is REFUSED
    assert len(times) == 2
