"""Which clients connect to a server, as lines for people and as data for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from reports.wording import PROTOCOLS
from scanner.clients import Client, Outcome, connect, server_of
from scanner.counting import counted
from scanner.evidence import TlsEvidence

_WIDTH: Final = 100
_NARROWEST: Final = 40
_TITLE_WIDTH: Final = 34
_EVERYWHERE: Final = "all"


class ClientsAt(Struct, frozen=True):
    """What becomes of clients at one target: as it is (`now`), and as it would be after a change (`after`), if any."""

    target: str
    now: Mapping[str, Outcome]
    after: Mapping[str, Outcome] | None = None

    @property
    def cut_off(self) -> Sequence[str]:
        """The ids of the clients that connect now and would not after the change."""
        after = self.after or {}
        return [one for one, outcome in self.now.items() if outcome.connects and after[one].connects is False]

    @property
    def doubtful(self) -> Sequence[str]:
        """Those that connect now, and of which nobody can tell afterwards."""
        after = self.after or {}
        return [one for one, outcome in self.now.items() if outcome.connects and after[one].connects is None]


def outcomes(tls: TlsEvidence, clients: Mapping[str, Client]) -> Mapping[str, Outcome]:
    """What becomes of each client at the server of which that was seen."""
    server = server_of(tls)
    return {one: connect(client, server) for one, client in clients.items()}


def told(found: ClientsAt, clients: Mapping[str, Client], *, every: bool, width: int = _WIDTH) -> str:
    """Lines for people. With a change, who it cuts off; without, each client, or with `every` false those cut off."""
    lines = (found.target, *lines_of(found, clients, every=every))
    return "\n".join(textwrap.fill(line, max(width, _NARROWEST), subsequent_indent=" " * 8) for line in lines)


def lines_of(found: ClientsAt, clients: Mapping[str, Client], *, every: bool) -> Iterator[str]:
    """The same, line by line, without the name of the target."""
    if found.after is not None:
        yield from _changed(found, found.after, clients)
        return
    failing = [one for one, outcome in found.now.items() if outcome.connects is False]
    unknown = [one for one, outcome in found.now.items() if outcome.connects is None]
    connecting = len(found.now) - len(failing) - len(unknown)
    tail = f", {len(unknown)} unknown" if unknown else ""
    others = f"{len(failing)} {'does' if len(failing) == 1 else 'do'} not{tail}"
    yield f"  {connecting} of {counted(len(found.now), 'client')} connect, {others}"
    for one, outcome in found.now.items():
        if every or not outcome.connects:
            yield f"    {_mark(outcome)} {_titled(clients[one], in_words(outcome))}"


def _changed(found: ClientsAt, after: Mapping[str, Outcome], clients: Mapping[str, Client]) -> Iterator[str]:
    connecting = sum(outcome.connects is True for outcome in found.now.values())
    yield f"  {len(found.cut_off)} of {counted(connecting, 'client')} that connect now could no longer connect"
    for one in found.cut_off:
        client = clients[one]
        age = {True: "still supported", False: "no longer supported", None: ""}[client.supported]
        platform = "" if client.platform == _EVERYWHERE else client.platform
        known = ", ".join(filter(None, (platform, age)))
        today = "; ".join(filter(None, (known, f"now {_version(found.now[one])}")))
        yield f"    ✗ {_titled(client, f'{in_words(after[one])} ({today})')}"
    for one in found.doubtful:
        yield f"    ? {_titled(clients[one], in_words(after[one]))}"


def _titled(client: Client, words: str) -> str:
    """A client and what becomes of it, in columns; a long name, which would run into what follows, ends in a colon."""
    if len(client.title) > _TITLE_WIDTH:
        return f"{client.title}: {words}"
    return f"{client.title:<{_TITLE_WIDTH}} {words}"


def _mark(outcome: Outcome) -> str:
    return {True: "✓", False: "✗", None: "?"}[outcome.connects]


def _version(outcome: Outcome) -> str:
    return PROTOCOLS[outcome.protocol] if outcome.protocol else ""


def in_words(outcome: Outcome) -> str:
    """An outcome in a few words."""
    if not outcome.connects:
        return f"{outcome.why}" + (f" in {_version(outcome)}" if outcome.protocol else "")
    parts = [_version(outcome), outcome.suite, outcome.group, outcome.signature]
    parts += ["no forward secrecy"] if not outcome.forward_secrecy else []
    parts += ["after a second hello of the client"] if outcome.second_hello else []
    return ", ".join(filter(None, parts))


def as_data(found: ClientsAt, clients: Mapping[str, Client]) -> dict[str, Any]:
    """The same for programs."""
    rows = []
    for one, outcome in found.now.items():
        client = clients[one]
        row: dict[str, Any] = {"id": one, "name": client.name, "versions": client.versions, "platform": client.platform}
        row |= {"supported": client.supported, "how": client.how, "confidence": client.confidence, **_row(outcome)}
        if found.after is not None:
            row["after"] = _row(found.after[one])
        rows.append(row)
    result: dict[str, Any] = {"target": found.target, "clients": rows}
    if found.after is not None:
        result |= {"cut_off": found.cut_off, "doubtful": found.doubtful}
    return result


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "connects": outcome.connects,
        "why": outcome.why.name.lower().replace("_", "-") if outcome.why else None,
        "protocol": outcome.protocol,
        "suite": outcome.suite,
        "group": outcome.group,
        "signature": outcome.signature,
        "forward_secrecy": outcome.forward_secrecy,
        "retry": outcome.retry,
        "second_hello": outcome.second_hello,
    }
