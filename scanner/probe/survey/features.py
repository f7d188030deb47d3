"""The single questions: names it was not asked under, and downgrades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import structs
from tlslite.constants import AlertDescription  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import Attempt, Failure, FailureReason, NameReaction
from scanner.probe import iana
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.offers import Enumeration, HelloTemplate
from scanner.probe.survey.server_flight import HelloResult, Refusal

WRONG_NAME: Final = "wrong-name.invalid"
"""A name that no server has (RFC 6761 section 6.4)."""


async def ask_under_name(
    client: HelloClient, template: HelloTemplate, found: Enumeration, name: str | None
) -> HelloResult:
    """What the server answers to `name` (None: to no name) in a protocol of which something has been accepted."""
    other = structs.replace(template, server_name=name)
    # Another name may be served by another kind of certificate, which needs other suites.
    suites = iana.offered_suites(found.protocol) if template.whole_lists else found.suites
    return await client.ask(other.offer(found.protocol, suites, key_shares=found.key_shares))


def name_reaction(outcome: HelloResult, found: Enumeration) -> Attempt[NameReaction]:
    """What that answer means beside those `found` under the right name.

    Judged by the certificate, up to TLS 1.2: in TLS 1.3 that is encrypted, and only a refusal shows.
    """
    if isinstance(outcome, Failure):
        return Attempt(failure=outcome)
    if isinstance(outcome, Refusal):
        unrecognized = outcome.alert == AlertDescription.unrecognized_name
        return Attempt.ok(NameReaction.UNRECOGNIZED_NAME if unrecognized else NameReaction.ALERT)
    if not outcome.chain:
        return Attempt.failed(FailureReason.UNSUPPORTED, "the certificate is encrypted in TLS 1.3")
    usual = {answer.chain[0] for answer in found.answers if answer.chain}
    same = outcome.chain[0] in usual
    return Attempt.ok(NameReaction.SAME_CERTIFICATE if same else NameReaction.OTHER_CERTIFICATE)


async def fallback_scsv(
    client: HelloClient, template: HelloTemplate, negotiated: Sequence[Enumeration]
) -> Attempt[bool]:
    """Whether a downgrade is refused (RFC 7507): asked for the second best protocol, as one would after a failure."""
    if len(negotiated) < 2:  # noqa: PLR2004  # a best and a second best
        return Attempt.failed(FailureReason.UNSUPPORTED, "there is no second protocol to fall back to")
    second = negotiated[-2]
    offer = structs.replace(template.offer(second.protocol, second.suites), fallback=True)
    outcome = await client.ask(offer, whole=False)
    if isinstance(outcome, Failure):
        return Attempt(failure=outcome)
    # The same hello without the signal was accepted, so it is the signal that is refused, by whatever alert.
    return Attempt.ok(isinstance(outcome, Refusal))
