"""The stage of a run that asks authorities: it begins with the first chain that was seen, and ends after the last.

What was seen at a target is handed in (`look_at`), and what authorities say of it is put beside it at the end
(`completed`). Each certificate is asked about once, each list fetched once, however many targets share them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import tempfile
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from scanner.evidence import (
    Attempt,
    CaaRecord,
    Certificate,
    Completion,
    Deployment,
    DnsEvidence,
    FailureReason,
    NameCaa,
    RevocationAnswer,
    RevocationFailure,
    SctSource,
    StoreTrust,
    TargetEvidence,
)
from scanner.probe import ProbeSettings
from scanner.probe.authority.chains import Named, chain_of, leaf_and_issuer
from scanner.probe.authority.fetching import Allowance, Fetcher
from scanner.probe.authority.kept import Kept
from scanner.probe.authority.lists import Lists
from scanner.probe.authority.missing import Completer
from scanner.probe.authority.revocation import Asker
from scanner.probe.caa import CaaLookups, caa_names
from scanner.probe.net.gate import Gate
from scanner.probe.x509.browser_stores import trusted_by
from scanner.probe.x509.ct_logs import LogList, load_logs
from scanner.probe.x509.extensions import BROKEN
from scanner.probe.x509.scts import verified
from scanner.untrusted import printable

_Shown = tuple[tuple[str, ...], tuple[str, ...], datetime | None]
NOT_ASKED: Final = "[scan] online = false"


class _Chain(NamedTuple):
    """What was fetched of a chain's missing intermediates, and the certificates that are asked about then."""

    completion: Completion | None
    asked: tuple[Named, ...]

    @classmethod
    def of(cls, deployment: Deployment, completion: Completion | None) -> Self:
        """The chain of a deployment with what was fetched."""
        return cls(completion, chain_of(dataclasses.replace(deployment, completion=completion)))


class AuthorityStage:
    """What authorities say of the chains of one run. Made by `opened`."""

    def __init__(
        self,
        logs: LogList,
        completer: Completer | None = None,
        asker: Asker | None = None,
        lookups: CaaLookups | None = None,
    ) -> None:
        self._logs = logs
        self._lookups = lookups
        self._names: dict[_Shown, asyncio.Task[tuple[NameCaa, ...]]] = {}
        self._completer = completer
        self._asker = asker
        self._chains: dict[_Shown, asyncio.Task[_Chain]] = {}
        self._tasks: dict[Named, asyncio.Task[tuple[RevocationAnswer, ...]]] = {}

    def look_at(self, evidence: TargetEvidence) -> None:
        """Begin to ask about what was seen at a target."""
        for deployment in _deployments(evidence):
            shown = _shown(deployment)
            if self._asker is not None and shown not in self._chains:
                self._chains[shown] = asyncio.create_task(self._begin(deployment))
            if self._lookups is not None and shown not in self._names and _asks_names(evidence):
                self._names[shown] = asyncio.create_task(self._names_of(deployment, self._lookups))

    async def _begin(self, deployment: Deployment) -> _Chain:
        """Complete a chain, and begin to ask about its certificates."""
        completion = None
        if self._completer is not None:
            with contextlib.suppress(*BROKEN):
                completion = await self._completer.complete(deployment)
        chain = _Chain.of(deployment, completion)
        for named in chain.asked:
            if self._asker is not None and named not in self._tasks:
                self._tasks[named] = asyncio.create_task(self._spared(named, self._asker.about(named)))
        return chain

    async def _names_of(self, deployment: Deployment, lookups: CaaLookups) -> tuple[NameCaa, ...]:
        """The CAA records of every name in a public CA's certificate; private ones are bound by none."""
        chain = self._chains.get(_shown(deployment))
        completion = (await asyncio.shield(chain)).completion if chain is not None else None
        whole = _trusted(dataclasses.replace(deployment, completion=completion))
        if not whole.publicly_trusted:
            return ()
        return tuple(await asyncio.gather(*(lookups.of(name) for name in caa_names(deployment.leaf))))

    async def finish(self, seconds: float) -> None:
        """Wait for the answers, at most so long; what is not there by then falls to the budget."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while pending := self._pending():
                    await asyncio.wait(pending)
        pending = self._pending()
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _pending(self) -> list[asyncio.Task[Any]]:
        return [
            task for task in (*self._chains.values(), *self._names.values(), *self._tasks.values()) if not task.done()
        ]

    def completed(self, evidence: TargetEvidence) -> TargetEvidence:
        """The evidence with what authorities say of it. What has that already keeps it."""
        tls = evidence.tls.value
        if tls is None or not tls.certificates.value:
            return evidence
        found = tuple(self._completed_spared(deployment) for deployment in tls.certificates.value)
        certificates = dataclasses.replace(tls.certificates, value=found)
        return dataclasses.replace(
            evidence,
            tls=dataclasses.replace(evidence.tls, value=dataclasses.replace(tls, certificates=certificates)),
            dns=self._with_names(evidence),
        )

    def _with_names(self, evidence: TargetEvidence) -> Attempt[DnsEvidence]:
        """What the DNS says, with what it says of the names in the certificates."""
        dns, tls = evidence.dns.value, evidence.tls.value
        if dns is None or dns.certificate_names or tls is None or not tls.certificates.value:
            return evidence.dns
        names: dict[str, NameCaa] = {}
        for deployment in tls.certificates.value:
            task = self._names.get(_shown(deployment))
            if task is None:
                continue
            if task.done() and not task.cancelled() and task.exception() is None:
                names |= {item.domain: item for item in task.result()}
            else:
                late: Attempt[tuple[CaaRecord, ...]] = Attempt.failed(FailureReason.DEADLINE, "no time was left")
                names |= {name: NameCaa(name, late) for name in caa_names(deployment.leaf)}
        return dataclasses.replace(
            evidence.dns, value=dataclasses.replace(dns, certificate_names=tuple(names.values()))
        )

    def _completed_spared(self, deployment: Deployment) -> Deployment:
        try:
            return self._completed(deployment)
        except Exception as error:  # noqa: BLE001  # hostile bytes reach three libraries; a run does not end by them
            detail = f"the chain cannot be read: {type(error).__name__}: {error}"
            failed: Attempt[tuple[RevocationAnswer, ...]] = Attempt.failed(FailureReason.MALFORMED, printable(detail))
            return dataclasses.replace(deployment, revocation=failed)

    def _completed(self, deployment: Deployment) -> Deployment:
        if deployment.revocation.value is not None:
            return deployment
        if self._asker is None:
            unasked: Attempt[tuple[RevocationAnswer, ...]] = Attempt.failed(FailureReason.NOT_ASKED, NOT_ASKED)
            return self._logged(dataclasses.replace(deployment, revocation=unasked))
        task = self._chains.get(_shown(deployment))
        ended = task is not None and task.done() and not task.cancelled()
        chain = task.result() if task is not None and ended else _Chain.of(deployment, None)
        whole = dataclasses.replace(deployment, completion=chain.completion)
        answers = tuple(answer for named in chain.asked for answer in self._answers(named))
        return self._logged(dataclasses.replace(whole, revocation=Attempt.ok(answers)))

    def _logged(self, deployment: Deployment) -> Deployment:
        """The deployment with who trusts it, and what the SCTs of its leaf are worth, which only a public CA's has."""
        deployment = _trusted(deployment)
        staple = deployment.staple
        delivered = {SctSource.TLS: deployment.tls_sct_list, SctSource.STAPLE: staple.sct_list if staple else b""}
        if not deployment.publicly_trusted or not (deployment.leaf.embedded_scts or any(delivered.values())):
            return deployment
        read = leaf_and_issuer(deployment)
        if read is None:
            return deployment
        leaf, issuer = read
        now = datetime.now(UTC)
        found = verified(leaf, deployment.leaf.der, issuer, self._logs, now, delivered=delivered)
        return dataclasses.replace(deployment, transparency=found)

    def _answers(self, named: Named) -> tuple[RevocationAnswer, ...]:
        task = self._tasks.get(named)
        if task is None or task.cancelled() or not task.done():
            return named.failed(RevocationFailure.BUDGET, "no time was left")
        return task.result()

    @staticmethod
    async def _spared(
        named: Named, asking: Coroutine[Any, Any, tuple[RevocationAnswer, ...]]
    ) -> tuple[RevocationAnswer, ...]:
        try:
            return await asking
        except Exception as error:  # noqa: BLE001  # hostile bytes reach three libraries; a run does not end by them
            return named.failed(RevocationFailure.MALFORMED, f"{type(error).__name__}: {error}")


@lru_cache(maxsize=1024)
def _stores_of(chain: tuple[Certificate, ...]) -> tuple[StoreTrust, ...]:
    """Remembered for a run: many targets show one chain."""
    return trusted_by(chain)


def _trusted(deployment: Deployment) -> Deployment:
    """The deployment with which lists of roots trust it."""
    if not deployment.paths or deployment.leaf.self_signed:
        return deployment
    return dataclasses.replace(deployment, stores=_stores_of(deployment.browser_chain))


def _asks_names(evidence: TargetEvidence) -> bool:
    """Whether name servers are asked at all, and about a host that the public DNS answers for."""
    dns = evidence.dns.value
    failure = dns.caa.failure if dns is not None else None
    nobody = {FailureReason.UNSUPPORTED, FailureReason.NOT_ASKED}
    return dns is not None and not dns.certificate_names and (failure is None or failure.reason not in nobody)


def _shown(deployment: Deployment) -> _Shown:
    """What two deployments have in common of which authorities say the same."""
    stores = tuple(path.store for path in deployment.paths)
    staple = deployment.staple
    return tuple(item.fingerprint for item in deployment.chain), stores, staple.next_update if staple else None


def _deployments(evidence: TargetEvidence) -> tuple[Deployment, ...]:
    tls = evidence.tls.value
    found = (tls.certificates.value or ()) if tls is not None else ()
    return tuple(deployment for deployment in found if deployment.revocation.value is None)


@contextlib.asynccontextmanager
async def opened(settings: ProbeSettings, folder: Path | None) -> AsyncIterator[AuthorityStage]:
    """The stage of a run. `folder` keeps answers from one run to the next; None keeps them for this run alone."""
    lookups = CaaLookups(settings) if settings.proxy is None else None
    if not settings.online:
        stage = AuthorityStage(load_logs(settings.ct_logs), lookups=lookups)
        try:
            yield stage
        finally:
            await stage.finish(0)
        return
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightseal-")))
        kept = Kept(folder)
        kept.tidy()
        fetcher = Fetcher(settings, Gate.of(settings.fetch_from), Allowance())
        lists = Lists(fetcher, kept, settings.timeout_s)
        completer = Completer(fetcher, settings.timeout_s)
        asker = Asker(fetcher, lists, kept, settings.timeout_s)
        stage = AuthorityStage(load_logs(settings.ct_logs), completer, asker, lookups)
        try:
            yield stage
        finally:
            await stage.finish(0)
            await lists.close()
            await completer.close()
