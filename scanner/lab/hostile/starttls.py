"""Servers that never get from their own protocol to TLS."""

from __future__ import annotations

from typing import Final

from scanner.lab.hostile.behaviour import Behaviour, Serve, Visit

_GREETING: Final = b"220 mail.example ESMTP\r\n"
_NO_ANSWER: Final = r"timed-out \(no answer within 2 s"
_LONG_REPLY: Final = "a reply of more than 100 lines"
_TOO_LONG: Final = "a line of more than 2048 bytes"
_ANSWERED: Final = r"malformed \(the server answered "
_ABLE: Final = b"250-mail.example\r\n250 STARTTLS\r\n"


async def _silent(visit: Visit) -> None:
    await visit.silence()


async def _greeting_without_end(visit: Visit) -> None:
    await visit.repeat(b"220-and so on\r\n" * 500)


async def _line_without_end(visit: Visit) -> None:
    await visit.repeat(b"220 " + b"a" * 8192)


async def _garbage(visit: Visit) -> None:
    await visit.say(bytes(range(256)) * 4 + b"\r\n")
    await visit.silence()


async def _drip(visit: Visit) -> None:
    await visit.drip(_GREETING * 10, 0.3)


async def _busy(visit: Visit) -> None:
    await visit.say(b"421 4.7.0 too many connections, come back tomorrow\r\n")


async def _capabilities_without_end(visit: Visit) -> None:
    await visit.say(_GREETING)
    await visit.hear()
    await visit.repeat(b"250-AND-SO-ON\r\n" * 500)


async def _refusing(visit: Visit) -> None:
    await _until_starttls(visit)
    await visit.say(b"502 5.5.1 no TLS for you\r\n")
    await visit.silence()


async def _then_silent(visit: Visit) -> None:
    await _until_starttls(visit)
    await visit.say(b"220 go ahead\r\n")
    await visit.silence()


async def _then_more_plain(visit: Visit) -> None:
    await _until_starttls(visit)
    await visit.say(b"220 go ahead\r\n250 injected\r\n250 injected again\r\n")
    await visit.silence()


async def _then_reset(visit: Visit) -> None:
    await _until_starttls(visit)
    await visit.say(b"220 go ahead\r\n")
    visit.reset()


async def _until_starttls(visit: Visit) -> None:
    await visit.say(_GREETING)
    await visit.hear()
    await visit.say(_ABLE)
    await visit.hear()


async def _bye(visit: Visit) -> None:
    await visit.say(b"* BYE overloaded\r\n")


async def _literal(visit: Visit) -> None:
    """An IMAP server that announces a literal of four gigabytes."""
    await visit.say(b"* OK ready\r\n")
    await visit.hear()
    await visit.repeat(b"* CAPABILITY {4294967295}\r\n" + b"x" * 8192)


async def _other_byte(visit: Visit) -> None:
    await visit.hear()
    await visit.say(b"?" * 4096)
    await visit.silence()


async def _lying_length(visit: Visit) -> None:
    """An LDAP answer of two gigabytes."""
    await visit.hear()
    await visit.say(b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01")
    await visit.silence()


async def _entities(visit: Visit) -> None:
    """An XMPP server that sends what XML calls a bomb."""
    await visit.hear()
    await visit.repeat(b"<!DOCTYPE lolz [<!ENTITY lol 'lol'>]><stream:stream>" + b"<a>&lol;" * 1000)


def _one(name: str, protocol: str, description: str, serve: Serve, told: str, *passes: str) -> Behaviour:
    return Behaviour(
        name=f"{protocol}-{name}",
        description=description,
        serve=serve,
        told=told,
        statuses=("unreachable", "partial"),
        passes=passes,
        starttls=protocol,
    )


_NO_LOGIN: Final = "starttls.required"
"""Whose capabilities name no login is seen to take none."""

STARTTLS: Final = (
    _one("silent", "smtp", "Greets nobody", _silent, _NO_ANSWER),
    _one("endless-greeting", "smtp", "Greets without end", _greeting_without_end, _LONG_REPLY),
    _one("endless-line", "smtp", "Sends a line without end", _line_without_end, _TOO_LONG),
    _one("garbage", "smtp", "Greets with every byte value", _garbage, _ANSWERED + r"\\\\x00\\\\x01"),
    _one("drip", "smtp", "Greets one byte in each third of a second", _drip, _NO_ANSWER),
    _one("busy", "smtp", "Has no time, ever", _busy, "421 4.7.0 too many connections"),
    _one(
        "endless-capabilities",
        "smtp",
        "Lists what it can without end",
        _capabilities_without_end,
        _LONG_REPLY,
    ),
    _one("refusing", "smtp", "Offers STARTTLS, and refuses it", _refusing, "502 5.5.1 no TLS for you", _NO_LOGIN),
    _one("then-silent", "smtp", "Agrees, and says no more", _then_silent, _NO_ANSWER, _NO_LOGIN),
    _one(
        "injecting",
        "smtp",
        "Agrees, and goes on in plain text",
        _then_more_plain,
        "the answer begins with .{1,3}250 injected",
        _NO_LOGIN,
    ),
    _one("then-reset", "smtp", "Agrees, and resets", _then_reset, r"reset \(Connection reset by peer", _NO_LOGIN),
    _one("bye", "imap", "Says good bye at once", _bye, r"\* BYE overloaded"),
    _one("literal", "imap", "Announces a literal of four gigabytes", _literal, _TOO_LONG),
    _one("other-byte", "postgres", "Answers with what means nothing", _other_byte, _ANSWERED + r"\?\?\?"),
    _one("lying-length", "ldap", "Announces an answer of two gigabytes", _lying_length, "a reply of 2147483647 bytes"),
    _one("entities", "xmpp", "Sends XML without end", _entities, "a reply of more than 16384 bytes"),
)
