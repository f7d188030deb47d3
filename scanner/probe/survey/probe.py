"""The survey: what a server accepts, found by ClientHello alone, without cryptography.

Shrinking offers (`offers`) need one connection for each thing accepted and one more, and show what a real handshake by
one library cannot: every code point that IANA has registered. What only a finished handshake shows is left to
`scanner.probe.handshake.probe`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct, structs

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, TlsEvidence
from scanner.inventory import Target
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget
from scanner.probe.survey.baseline import ALPN, RATE, Baseline, find_baseline
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.confirmation import certificates_of_tls13, confirm
from scanner.probe.survey.deployments import likely_schemes
from scanner.probe.survey.evidence import SurveyResults, survey_evidence
from scanner.probe.survey.features import WRONG_NAME, ask_under_name, fallback_scsv, name_reaction
from scanner.probe.survey.key_exchange import groups_and_schemes, tls13_signature_schemes
from scanner.probe.survey.offers import (
    ApplicationProtocols,
    Enumeration,
    HelloTemplate,
)
from scanner.probe.survey.suites import chacha20_exception, older_suites, refused_families, server_order, ssl2_suites
from scanner.probe.survey.tls13 import hidden_in_tls13, tls13
from scanner.probe.tls.division import Surveyed

_OLDER: Final = (Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1)
_HTTP_PROTOCOLS: Final = ("h2", "http/1.1")


async def survey(
    target: Target,
    settings: ProbeSettings,
    *,
    budget: Budget | None = None,
    first_answer: asyncio.Future[Surveyed | Failure | None] | None = None,
) -> tuple[Attempt[TlsEvidence], int]:
    """Survey a target, and count the TCP connections that it took.

    `budget` is the target's, shared with its other probes; without one, the settings' limits are for the survey alone.
    `first_answer` is set as soon as the server has been made to answer, or did not.

    Fails as a whole where the first connections show that there is nothing to survey (`refused`, `timed-out`, `reset`,
    `not-tls`, `starttls-refused`, …), or that nothing at all is negotiated (`handshake-failed`). Else each fact fails
    by itself. Ends before the budget's deadline, with what it has found by then.
    """
    if target.address is None:
        return Attempt.failed(FailureReason.UNRESOLVABLE), 0
    client = HelloClient(target, settings, budget or Budget.alone(settings, target.address.ip))
    try:
        return await _survey(client, target, settings, first_answer), client.opened
    except Exception as error:  # noqa: BLE001  # one hostile answer, or one mistake here, must not end a run over many
        causes = error.exceptions if isinstance(error, ExceptionGroup) else (error,)
        return Attempt.failed(FailureReason.ENGINE_ERROR, f"{type(causes[0]).__name__}: {causes[0]}"), client.opened


async def _survey(
    client: HelloClient,
    target: Target,
    settings: ProbeSettings,
    first_answer: asyncio.Future[Surveyed | Failure | None] | None,
) -> Attempt[TlsEvidence]:
    server_name = None if target.endpoint.is_address else target.endpoint.host
    http = target.endpoint.role.speaks_http and target.endpoint.starttls is None
    baseline = await find_baseline(client, server_name, target.endpoint.host if http else None)
    if first_answer is not None and not first_answer.done():
        first_answer.set_result(baseline if isinstance(baseline, Failure) else _surveyed(baseline))
    if isinstance(baseline, Failure):
        return Attempt(failure=baseline)
    alpn = ApplicationProtocols(_HTTP_PROTOCOLS if target.endpoint.role.speaks_http else ())
    results = SurveyResults(baseline, alpn)
    await _Questions(client, baseline.template, results).run()
    if baseline.answer is None and not any(found.answers or found.failure for found in results.found.values()):
        return Attempt.failed(FailureReason.HANDSHAKE_FAILED, "it speaks TLS, but accepts nothing that was offered")
    broken = (ALPN,) * results.alpn.broke + (RATE,) * client.slowed
    results.baseline = structs.replace(baseline, intolerances=(*baseline.intolerances, *broken))
    return Attempt.ok(survey_evidence(results, settings.stores_for(target.endpoint.environment)))


def _surveyed(baseline: Baseline) -> Surveyed:
    return Surveyed(baseline.answer.protocol if baseline.answer is not None else None)


class _Questions(Struct, frozen=True):
    """All questions to one server that answers, and in which order they are asked."""

    client: HelloClient
    template: HelloTemplate
    results: SurveyResults

    async def run(self) -> None:
        """Ask all that does not depend on anything side by side, and what does as soon as that is known.

        A chain of questions takes two round trips for each; that of the suites of TLS 1.2 is the longest.
        """
        tls12 = Enumeration(Protocol.TLS1_2)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tls12(tls12))
            group.create_task(self._tls13(tls12))
            for protocol in _OLDER:
                group.create_task(self._older(Enumeration(protocol)))
            group.create_task(self._ssl2())
            if self.template.whole_lists:
                group.create_task(self._other_names(tls12))
        await self._look_for_hidden_suites()
        negotiated = [found for found in self.results.in_order if found.answers and found.protocol is not Protocol.SSL2]
        plain = [found for found in negotiated if found.protocol is not Protocol.TLS1_3]
        shown = next(iter(reversed(plain or negotiated)), None)
        shows_names = shown is not None and shown.protocol is not Protocol.SSL3
        async with asyncio.TaskGroup() as group:
            if plain and plain[-1].protocol not in {Protocol.SSL3, Protocol.TLS1_2}:
                group.create_task(self._groups(plain[-1]))
            group.create_task(self._fallback(negotiated))
            group.create_task(confirm(self.client, self.template.server_name, plain[::-1]))
            group.create_task(self._certificates())
            if shown is not None and shows_names and self.results.wrong_name is None:
                group.create_task(self._other_names(shown))
        if shown is not None and shows_names:
            self._compare_names(shown)

    async def _tls12(self, tls12: Enumeration) -> None:
        """The suites of TLS 1.2, and then all that builds on them."""
        try:
            await older_suites(self.client, self.template, tls12, self.results.alpn, self.results.baseline.answer)
        finally:
            tls12.begun.set()  # or it never will
        self.results.found[Protocol.TLS1_2] = tls12
        if tls12.refused:
            await refused_families(self.client, self.template, tls12)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._order(tls12))
            group.create_task(self._groups(tls12))

    async def _look_for_hidden_suites(self) -> None:
        """Ask for the families in other versions too, where the lists of TLS 1.2 hid some, or there is none of it."""
        tls12, newest = self.results.found[Protocol.TLS1_2], self.results.found[Protocol.TLS1_3]
        older = [self.results.found[protocol] for protocol in reversed(_OLDER)]
        if newest.failure is None and (tls12.hidden or not tls12.answers) and not newest.not_negotiated:
            await hidden_in_tls13(self.client, self.template, newest)
            if newest.hidden:
                await self._order(newest)
        if tls12.answers and not tls12.hidden:
            return
        if not tls12.hidden:
            older = [found for found in older if found.answers] or ([] if newest.answers else older[:1])
        async with asyncio.TaskGroup() as group:
            for found in older:
                if found.refused and found.failure is None:
                    group.create_task(refused_families(self.client, self.template, found))

    async def _tls13(self, tls12: Enumeration) -> None:
        """Suites and groups of TLS 1.3, and then its schemes: the certificates seen in TLS 1.2 tell where to begin."""
        found = await tls13(self.client, self.template, self.results.baseline.answer)
        self.results.found[Protocol.TLS1_3] = found
        async with asyncio.TaskGroup() as group:
            group.create_task(self._order(found))
            await tls12.begun.wait()
            if found.answers and found.failure is None:
                self.results.schemes13 = await tls13_signature_schemes(
                    self.client, self.template, found, likely_schemes(tls12)
                )

    async def _older(self, found: Enumeration) -> None:
        self.results.found[found.protocol] = await older_suites(self.client, self.template, found)
        await self._order(found)

    async def _ssl2(self) -> None:
        self.results.found[Protocol.SSL2] = await ssl2_suites(self.client, self.template)

    async def _order(self, found: Enumeration) -> None:
        if not found.answers:
            return
        order = await server_order(self.client, self.template, found)
        self.results.order[found.protocol] = order
        if order:
            exception = await chacha20_exception(self.client, self.template, found)
            self.results.chacha20_first[found.protocol] = exception

    async def _groups(self, found: Enumeration) -> None:
        if found.answers:
            self.results.exchanges[found.protocol] = await groups_and_schemes(self.client, self.template, found)

    async def _certificates(self) -> None:
        """Read certificates that no ServerHello shows, and sslyze cannot see."""
        newest = self.results.found[Protocol.TLS1_3]
        if newest.answers and not any(flight.chain for flight in self.results.older):
            self.results.handshake = await certificates_of_tls13(self.client, self.template.server_name, newest)

    async def _fallback(self, negotiated: list[Enumeration]) -> None:
        self.results.fallback = await fallback_scsv(self.client, self.template, negotiated)

    async def _other_names(self, found: Enumeration) -> None:
        """Ask without a name and under a wrong one, as soon as anything has been accepted in that protocol."""
        if not found.answers:
            await found.begun.wait()
        if not found.answers:
            return
        if self.template.server_name is not None:
            self.results.no_name = await ask_under_name(self.client, self.template, found, None)
        self.results.wrong_name = await ask_under_name(self.client, self.template, found, WRONG_NAME)

    def _compare_names(self, shown: Enumeration) -> None:
        results = self.results
        if self.template.server_name is None:
            detail = "the endpoint is an address: it has no name"
            results.without_sni = Attempt.failed(FailureReason.UNSUPPORTED, detail)
        elif results.no_name is not None:
            results.without_sni = name_reaction(results.no_name, shown)
        if results.wrong_name is not None:
            results.wrong_sni = name_reaction(results.wrong_name, shown)
