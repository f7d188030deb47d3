"""The suites and groups accepted in TLS 1.3, which show together, and those that long lists hide."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tlslite.constants import AlertDescription  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Failure, Protocol
from scanner.probe import iana
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.families import not_chacha20_first
from scanner.probe.survey.hello import KEY_SHARE_GROUPS
from scanner.probe.survey.offers import Enumeration, HelloTemplate
from scanner.probe.survey.server_flight import HelloResult, Refusal, ServerFlight
from scanner.probe.survey.shrink import shrink

Ask = Callable[[Sequence[int], Sequence[int]], Awaitable[HelloResult]]
"""Asks for suites with groups."""

_USUAL_SUITES: Final[tuple[int, ...]] = (0x1301, 0x1302, 0x1303, 0x1304, 0x1305)  # RFC 8446 appendix B.4
_USUAL_GROUPS: Final[tuple[int, ...]] = (29, 23, 24)  # x25519, secp256r1, secp384r1


async def tls13(client: HelloClient, template: HelloTemplate, begun: ServerFlight | None = None) -> Enumeration:
    """The suites and the groups accepted in TLS 1.3: a HelloRetryRequest shows one of each.

    `begun` is the answer to a hello that offered all of them, where there was one.
    """
    found = Enumeration(Protocol.TLS1_3)
    suites = template.remainder(iana.offered_suites(Protocol.TLS1_3))
    groups = template.remainder(iana.offered_groups(Protocol.TLS1_3))

    ask = _asking(client, template, found)
    known = begun is not None and begun.protocol is Protocol.TLS1_3
    outcome = begun if begun is not None and known else await ask(suites.left, groups.left)
    if isinstance(outcome, Refusal) and outcome.alert != AlertDescription.protocol_version:
        # A server that knows no HelloRetryRequest refuses a hello without a key.
        found.key_shares = KEY_SHARE_GROUPS
        outcome = await ask(suites.left, groups.left)
    if isinstance(outcome, ServerFlight):
        suites.note(outcome.suite)
        groups.note(outcome.group)
        found.failure = await shrink(suites, groups, ask, lambda answer: (answer.suite, answer.group))
        found.failure = found.failure or suites.failure
    elif isinstance(outcome, Failure):
        found.failure = outcome
    elif outcome.alert == AlertDescription.protocol_version:
        found.not_negotiated = True
    found.answers = [ServerFlight(Protocol.TLS1_3, (suite,)) for suite in suites.accepted]
    found.groups, found.groups_failure = groups.accepted, groups.failure
    found.refused, found.refused_groups = suites.refused, groups.refused
    return found


async def hidden_in_tls13(client: HelloClient, template: HelloTemplate, found: Enumeration) -> None:
    """Ask for what was refused in long lists once more, in short ones: the usual suites, and each family of groups.

    What they hid is added to `found`. Of a version of which nothing was accepted, the most usual hello is tried.
    """
    ask = _asking(client, template, found)
    if not found.answers:
        await _usual(ask, found)
    if found.answers:
        before = len(found.answers)
        left = [code for code in _USUAL_SUITES if code in found.refused]
        for suite in await _accepted(lambda codes: ask(codes, found.groups), left, found, lambda flight: flight.suite):
            found.answers.append(ServerFlight(Protocol.TLS1_3, (suite,)))
        found.hidden = len(found.answers) > before
        for family in _families(found.refused_groups):
            found.groups += await _accepted(
                lambda codes: ask(found.suites, codes), family, found, lambda flight: flight.group
            )


async def _usual(ask: Ask, found: Enumeration) -> None:
    """Whether a version of which nothing was accepted is negotiated for the hello that most clients send."""
    found.key_shares = KEY_SHARE_GROUPS
    outcome = await ask(_USUAL_SUITES, _USUAL_GROUPS)
    if isinstance(outcome, Failure):
        found.failure = outcome
    elif isinstance(outcome, ServerFlight) and outcome.suite in _USUAL_SUITES and outcome.group in _USUAL_GROUPS:
        found.answers.append(ServerFlight(Protocol.TLS1_3, (outcome.suite,)))
        found.groups.append(outcome.group)
        found.refused = [code for code in _USUAL_SUITES if code != outcome.suite]
        found.refused_groups = [code for code in iana.offered_groups(Protocol.TLS1_3) if code != outcome.group]


async def _accepted(
    ask: Callable[[Sequence[int]], Awaitable[HelloResult]],
    left: list[int],
    found: Enumeration,
    chosen: Callable[[ServerFlight], int | None],
) -> list[int]:
    """Those of `left` that are accepted, offered one less at a time; what breaks it off is noted in `found`."""
    accepted: list[int] = []
    while left and found.failure is None:
        outcome = await ask(left)
        if isinstance(outcome, Failure):
            found.failure = outcome
        code = chosen(outcome) if isinstance(outcome, ServerFlight) else None
        if code is None or code not in left:
            break
        left.remove(code)
        accepted.append(code)
    return accepted


def _families(groups: Sequence[int]) -> list[list[int]]:
    """Groups that a server may stumble over together: finite fields, hybrids, elliptic curves and the rest."""
    known = iana.groups()
    kinds: dict[str, list[int]] = {"finite": [], "hybrid": [], "other": []}
    for code in groups:
        name = known[code].name
        kinds["finite" if known[code].finite_field else "hybrid" if "mlkem" in name else "other"].append(code)
    return [codes for codes in kinds.values() if codes]


def _asking(client: HelloClient, template: HelloTemplate, found: Enumeration) -> Ask:
    """Asks for suites with groups, in TLS 1.3 alone; an answer of an older version is a refusal."""

    async def ask(some_suites: Sequence[int], some_groups: Sequence[int]) -> HelloResult:
        shares = [group for group in found.key_shares if group in some_groups]
        ordered = not_chacha20_first(some_suites)
        offer = template.offer(Protocol.TLS1_3, ordered, groups=some_groups, key_shares=shares)
        outcome = await client.ask(offer, whole=False)
        older = isinstance(outcome, ServerFlight) and outcome.protocol is not Protocol.TLS1_3
        return Refusal(AlertDescription.protocol_version) if older else outcome

    return ask
