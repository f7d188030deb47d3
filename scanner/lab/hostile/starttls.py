"""Servers that never get from their own protocol to TLS."""

from __future__ import annotations

from typing import Final

from scanner.lab.hostile.behaviour import Behaviour, Serve, Visit

_GREETING: Final = b"220 mail.example ESMTP\r\n"
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


def _one(name: str, protocol: str, description: str, serve: Serve, told: str) -> Behaviour:
    return Behaviour(
        name=f"{protocol}-{name}",
        description=description,
        serve=serve,
        told=told,
        statuses=("unreachable", "partial"),
        starttls=protocol,
    )


STARTTLS: Final = (
    _one("silent", "smtp", "Greets nobody", _silent, "no answer within|timed-out"),
    _one("endless-greeting", "smtp", "Greets without end", _greeting_without_end, "too-large|more than|without an end"),
    _one("endless-line", "smtp", "Sends a line without end", _line_without_end, "too-large|a line of more than"),
    _one("garbage", "smtp", "Greets with all bytes that there are", _garbage, "malformed|unavailable|not-tls|answer"),
    _one("drip", "smtp", "Greets one byte in each third of a second", _drip, "no answer within|timed-out|deadline"),
    _one("busy", "smtp", "Has no time, ever", _busy, "too many connections"),
    _one(
        "endless-capabilities",
        "smtp",
        "Lists what it can without end",
        _capabilities_without_end,
        "too-large|more than|without an end",
    ),
    _one("refusing", "smtp", "Offers STARTTLS, and refuses it", _refusing, "starttls-refused|no TLS for you"),
    _one("then-silent", "smtp", "Agrees, and says no more", _then_silent, "no answer within|timed-out"),
    _one("injecting", "smtp", "Agrees, and goes on in plain text", _then_more_plain, "not-tls|malformed|plain|before"),
    _one("then-reset", "smtp", "Agrees, and resets", _then_reset, "reset"),
    _one("bye", "imap", "Says good bye at once", _bye, "overloaded"),
    _one("literal", "imap", "Announces a literal of four gigabytes", _literal, "too-large|more than|malformed"),
    _one("other-byte", "postgres", "Answers with what means nothing", _other_byte, "malformed|answer|starttls-refused"),
    _one("lying-length", "ldap", "Announces an answer of two gigabytes", _lying_length, "too-large|malformed|bytes"),
    _one("entities", "xmpp", "Sends XML without end", _entities, "too-large|more than|malformed"),
)
