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
from pathlib import Path
from typing import Any, Final

from scanner.evidence import Attempt, Deployment, FailureReason, RevocationAnswer, RevocationFailure, TargetEvidence
from scanner.probe import ProbeSettings
from scanner.probe.authority.chains import Named, chain_of
from scanner.probe.authority.fetching import Allowance, Fetcher
from scanner.probe.authority.kept import Kept
from scanner.probe.authority.lists import Lists
from scanner.probe.authority.revocation import Asker
from scanner.probe.net.gate import Gate

NOT_ASKED: Final = "[scan] online = false"


class AuthorityStage:
    """What authorities say of the chains of one run. Made by `opened`."""

    def __init__(self, asker: Asker | None) -> None:
        self._asker = asker
        self._tasks: dict[Named, asyncio.Task[tuple[RevocationAnswer, ...]]] = {}

    def look_at(self, evidence: TargetEvidence) -> None:
        """Begin to ask about what was seen at a target."""
        if self._asker is None:
            return
        for deployment in _deployments(evidence):
            for named in chain_of(deployment):
                if named not in self._tasks:
                    self._tasks[named] = asyncio.create_task(self._spared(named, self._asker.about(named)))

    async def finish(self, seconds: float) -> None:
        """Wait for the answers, at most so long; what is not there by then falls to the budget."""
        tasks = [task for task in self._tasks.values() if not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def completed(self, evidence: TargetEvidence) -> TargetEvidence:
        """The evidence with what authorities say of it. What has that already keeps it."""
        tls = evidence.tls.value
        if tls is None or not tls.certificates.value:
            return evidence
        found = tuple(self._completed(deployment) for deployment in tls.certificates.value)
        certificates = dataclasses.replace(tls.certificates, value=found)
        return dataclasses.replace(
            evidence, tls=dataclasses.replace(evidence.tls, value=dataclasses.replace(tls, certificates=certificates))
        )

    def _completed(self, deployment: Deployment) -> Deployment:
        if deployment.revocation.value is not None:
            return deployment
        if self._asker is None:
            return dataclasses.replace(deployment, revocation=Attempt.failed(FailureReason.NOT_ASKED, NOT_ASKED))
        answers = tuple(answer for named in chain_of(deployment) for answer in self._answers(named))
        return dataclasses.replace(deployment, revocation=Attempt.ok(answers))

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


def _deployments(evidence: TargetEvidence) -> tuple[Deployment, ...]:
    tls = evidence.tls.value
    found = (tls.certificates.value or ()) if tls is not None else ()
    return tuple(deployment for deployment in found if deployment.revocation.value is None)


@contextlib.asynccontextmanager
async def opened(settings: ProbeSettings, folder: Path | None) -> AsyncIterator[AuthorityStage]:
    """The stage of a run. `folder` keeps answers from one run to the next; None keeps them for this run alone."""
    if not settings.online:
        yield AuthorityStage(None)
        return
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightseal-")))
        kept = Kept(folder)
        kept.tidy()
        fetcher = Fetcher(settings, Gate.of(settings.fetch_from), Allowance())
        lists = Lists(fetcher, kept, settings.timeout_s)
        stage = AuthorityStage(Asker(fetcher, lists, kept, settings.timeout_s))
        try:
            yield stage
        finally:
            await stage.finish(0)
            await lists.close()
