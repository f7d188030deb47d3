"""The records of a mail domain, with what the resolver vouches for."""

from __future__ import annotations

from msgspec import Struct

from scanner.evidence import Attempt, Failure, Tlsa
from scanner.probe.nameservers import ask
from scanner.untrusted import printable


class MailServer(Struct, frozen=True):
    """A mail server of a domain. `preference` None: the domain has no MX record, and is its own server."""

    host: str
    preference: int | None


async def servers_of(domain: str, server: str | None, timeout_s: float) -> tuple[MailServer, ...] | Failure:
    """The mail servers of a domain by preference; itself where it has no MX record (RFC 5321 section 5.1)."""
    answer = await ask(server, domain, "MX", timeout_s)
    if isinstance(answer, Failure):
        return answer
    if not answer.found:
        return (MailServer(domain, None),)
    named = sorted((item.preference, item.exchange.to_text(omit_final_dot=True)) for item in answer.found)
    return tuple(MailServer(host, preference) for preference, host in named if host not in {"", "."})


async def tlsa_of(host: str, server: str | None, timeout_s: float) -> tuple[Attempt[tuple[Tlsa, ...]], bool]:
    """The TLSA records of a mail server at port 25, and whether they are vouched for."""
    answer = await ask(server, f"_25._tcp.{host}", "TLSA", timeout_s)
    if isinstance(answer, Failure):
        return Attempt(failure=answer), False
    found = tuple(Tlsa(item.usage, item.selector, item.mtype, item.cert.hex()) for item in answer.found)
    return Attempt.ok(found), answer.vouched


async def texts_of(name: str, version: str, server: str | None, timeout_s: float) -> Attempt[tuple[str, ...]]:
    """The TXT records of a name that begin with a version, such as `v=STSv1`."""
    answer = await ask(server, name, "TXT", timeout_s)
    if isinstance(answer, Failure):
        return Attempt(failure=answer)
    texts = (b"".join(item.strings).decode("utf-8", "replace") for item in answer.found)
    return Attempt.ok(tuple(printable(text, 500) for text in texts if text.startswith(version)))
