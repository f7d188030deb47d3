"""The TLS probe: two engines, one answer.

The survey speaks first; what it hears decides how handshakes are made beside it, and what both leave open is asked once
more. A handshake is made in a worker process, because the library that makes it blocks.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any, Final, Literal

from msgspec import Struct

from scanner.evidence import Attempt, ClientAuthentication, Failure, FailureReason, TlsEvidence
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings, WorkerError, Workers
from scanner.probe.net.budget import Budget, DeadlineError
from scanner.probe.net.cutoff import cut_off
from scanner.probe.net.remote import RemoteBudget
from scanner.probe.survey.by_policy import asked_for, seen_by_policy
from scanner.probe.survey.probe import survey
from scanner.probe.survey.second_opinion import asked, before_tls13, confirmed, doubted, suspected, unasked
from scanner.probe.tls.division import FEARED, HandshakeResult, Remaining, Surveyed, remaining
from scanner.probe.tls.merge import combined, with_remaining, without_intrusive

_TARGETS_PER_WORKER: Final = 100
"""To start a worker costs as much as two targets. Five handshakes leave nothing behind that a hundred targets show."""
_ALONE_PER_WORKER: Final = 20
"""The same where the engine does the survey's work as well: each of its 600 connections leaves three kilobytes."""


def tasks_per_worker(settings: ProbeSettings) -> int:
    """After how many handshakes of targets a worker is to be replaced."""
    return _TARGETS_PER_WORKER if settings.engine == "survey" else _ALONE_PER_WORKER


class TlsProbe(Struct, frozen=True):
    """What a server accepts and does in TLS."""

    settings: ProbeSettings
    workers: Workers
    name: Literal["tls"] = "tls"

    async def observe(self, target: Target, _: Environment, budget: Budget) -> Attempt[TlsEvidence]:
        """Both engines, side by side once the survey has been answered, and what was left by both of them."""
        found = await self._observe(target, budget)
        if self.settings.intrusive:
            found = await self._asked(found, target, budget)
        found = await self._confirmed(found, target, budget)
        found = await self._by_policy(found, target, budget)
        return found if self.settings.intrusive else without_intrusive(found)

    async def _observe(self, target: Target, budget: Budget) -> Attempt[TlsEvidence]:
        if self.settings.engine == "sslyze":
            return (await self._handshakes(target, budget, None)).evidence
        first_answer: asyncio.Future[Surveyed | Failure | None] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as engines:
            surveyed = engines.create_task(self._surveyed(target, budget, first_answer))
            handshaken = engines.create_task(self._after(first_answer, target, budget))
        found, result = surveyed.result(), handshaken.result()
        left = remaining(found, result, intrusive=self.settings.intrusive)
        if left is None:
            return combined(found, result.evidence)
        again = await self._handshakes(target, budget, left)
        return combined(found, with_remaining(result.evidence, again.evidence))

    async def _asked(self, found: Attempt[TlsEvidence], target: Target, budget: Budget) -> Attempt[TlsEvidence]:
        """What the engine took for granted is looked at; what that finds, the engine looks at as well."""
        seen = found.value
        facts = unasked(seen) if seen is not None else ()
        if seen is None or not facts:
            return found

        async def look() -> TlsEvidence:
            return await asked(seen, target, self.settings, budget)

        def unseen(failure: Failure) -> TlsEvidence:
            return dataclasses.replace(
                seen, heartbleed=Attempt(failure=failure), ccs_injection=Attempt(failure=failure)
            )

        now = await cut_off(look(), lambda: budget.deadline, unseen)
        feared = {fact for fact in facts if getattr(now, fact).value is True}
        if not feared:
            return Attempt.ok(now)
        authentication = seen.client_authentication.value or ClientAuthentication.NOT_ASKED
        again = Remaining(before_tls13(seen), authentication, frozenset(FEARED[fact] for fact in feared))
        theirs = (await self._handshakes(target, budget, again)).evidence
        return Attempt.ok(doubted(now, theirs, feared))

    async def _confirmed(self, found: Attempt[TlsEvidence], target: Target, budget: Budget) -> Attempt[TlsEvidence]:
        """What is grave is seen by a second probe as well, or not told as found."""
        seen = found.value
        if seen is None or not suspected(seen):
            return found

        async def again() -> Attempt[TlsEvidence]:
            return Attempt.ok(await confirmed(seen, target, self.settings, budget))

        def unconfirmed(failure: Failure) -> Attempt[TlsEvidence]:
            told = Failure(failure.reason, f"one probe found it, and there was no second answer: {failure.reason}")
            facts = suspected(seen)
            names = {*facts, *(["max_early_data_size"] if "early_data" in facts else [])}
            return Attempt.ok(dataclasses.replace(seen, **dict.fromkeys(names, Attempt(failure=told))))  # type: ignore[arg-type]  # its own fields

        return await cut_off(again(), lambda: budget.deadline, unconfirmed)

    async def _by_policy(self, found: Attempt[TlsEvidence], target: Target, budget: Budget) -> Attempt[TlsEvidence]:
        """What is looked for only where a policy judges it."""
        seen, facts = found.value, asked_for(self.settings)
        if seen is None or not facts:
            return found

        async def look() -> Attempt[TlsEvidence]:
            return Attempt.ok(await seen_by_policy(seen, target, self.settings, budget))

        def unseen(failure: Failure) -> Attempt[TlsEvidence]:
            return Attempt.ok(dataclasses.replace(seen, **dict.fromkeys(facts, Attempt(failure=failure))))  # type: ignore[arg-type]  # its own fields

        return await cut_off(look(), lambda: budget.deadline, unseen)

    async def _surveyed(
        self, target: Target, budget: Budget, first_answer: asyncio.Future[Surveyed | Failure | None]
    ) -> Attempt[TlsEvidence]:
        async def surveyed() -> Attempt[TlsEvidence]:
            return (await survey(target, self.settings, budget=budget, first_answer=first_answer))[0]

        try:
            return await cut_off(surveyed(), lambda: budget.deadline, lambda failure: Attempt(failure=failure))
        finally:
            if not first_answer.done():
                # It failed by a mistake of its own, or for want of time: the other engine finds out for itself.
                first_answer.set_result(None)

    async def _after(
        self, first_answer: asyncio.Future[Surveyed | Failure | None], target: Target, budget: Budget
    ) -> HandshakeResult:
        first = await first_answer
        if isinstance(first, Failure):
            return HandshakeResult(Attempt(failure=first), 0)
        return await self._handshakes(target, budget, first)

    async def _handshakes(self, target: Target, budget: Budget, known: Surveyed | Remaining | None) -> HandshakeResult:
        try:
            return await self.workers.run(_handshakes, target, self.settings, known, budget=budget)
        except DeadlineError:
            return _failed(FailureReason.DEADLINE)
        except WorkerError as error:
            return _failed(FailureReason.ENGINE_ERROR, f"the TLS engine died: {error}")
        except Exception as error:  # noqa: BLE001  # a mistake of the engine's must not lose what the survey saw
            return _failed(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}")


def _failed(reason: FailureReason, detail: Any = "") -> HandshakeResult:
    return HandshakeResult(Attempt.failed(reason, detail), 0)


def _handshakes(
    target: Target, settings: ProbeSettings, known: Surveyed | Remaining | None, budget: RemoteBudget
) -> HandshakeResult:
    """Runs in a worker process."""
    # This process never loads the engine; the server that workers are forked from has.
    from scanner.probe.handshake.probe import observe  # noqa: PLC0415  # see above

    return observe(target, settings, known, budget)
