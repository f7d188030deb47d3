"""Two engines beside each other, in virtual time: neither's fault is the other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, ProtocolOffer, TlsEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.probe import ProbeSettings, WorkerError
from scanner.probe.net.budget import Budget, DeadlineError
from scanner.probe.tls import probe as tls_probe
from scanner.probe.tls.division import HandshakeResult, Surveyed
from tests.build import virtual_time

TARGET = Target(Endpoint("test", "name.example", 443), Address("192.0.2.1", 443))
ENVIRONMENT = Environment("test", EnvironmentKind.ON_PREMISES)
SEEN = TlsEvidence(heartbleed=Attempt.ok(value=False))
OFFERS = TlsEvidence(protocols={Protocol.TLS1_3: Attempt.ok(ProtocolOffer())})


@dataclass
class Handshakes:
    """Workers that answer as they are told, after so many seconds, and note what they were asked with."""

    answer: HandshakeResult | Exception
    takes_s: float = 1.0
    asked: list[tuple[float, object]] = field(default_factory=list)

    async def run(self, _work: Callable, *arguments: object, budget: Budget) -> HandshakeResult:
        assert budget.left > 0
        self.asked.append((asyncio.get_running_loop().time(), arguments[-1]))
        await asyncio.sleep(self.takes_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def observed(monkeypatch: pytest.MonkeyPatch, survey: Callable, workers: Handshakes, **settings) -> tuple:
    """What the probe made of both, and when it was done."""
    monkeypatch.setattr(tls_probe, "survey", survey)

    async def observe() -> tuple[Attempt[TlsEvidence], float]:
        chosen = ProbeSettings(deadline_s=60.0, **settings)
        probe = tls_probe.TlsProbe(chosen, workers)
        attempt = await probe.observe(TARGET, ENVIRONMENT, Budget.alone(chosen, "192.0.2.1"))
        return attempt, asyncio.get_running_loop().time()

    return virtual_time.run(observe())


def surveying(
    result: Attempt[TlsEvidence], first: Surveyed | Failure, *, answered_s: float = 2.0, takes_s: float = 5.0
):
    """A survey that is answered after some seconds, and takes some more."""

    async def survey(
        _target, _settings, *, first_answer: asyncio.Future, **_options
    ) -> tuple[Attempt[TlsEvidence], int]:
        await asyncio.sleep(answered_s)
        first_answer.set_result(first)
        await asyncio.sleep(takes_s)
        return result, 1

    return survey


ANSWERED = Surveyed(Protocol.TLS1_3)


def test_handshakes_begin_when_the_survey_was_answered_and_run_beside_it(monkeypatch):
    workers = Handshakes(HandshakeResult(Attempt.ok(SEEN), 5))

    attempt, ended = observed(monkeypatch, surveying(Attempt.ok(OFFERS), ANSWERED), workers)

    assert workers.asked == [(2.0, ANSWERED)]
    assert ended == 7.0
    assert attempt.value.heartbleed.value is False
    assert attempt.value.protocols == OFFERS.protocols


def test_no_worker_is_held_for_a_server_that_did_not_answer(monkeypatch):
    silent = Failure(FailureReason.TIMED_OUT)
    workers = Handshakes(HandshakeResult(Attempt.ok(SEEN), 5))

    attempt, _ = observed(monkeypatch, surveying(Attempt(failure=silent), silent, takes_s=0.0), workers)

    assert workers.asked == []
    assert attempt.failure == silent


def test_a_survey_that_never_returns_is_cut_off_at_the_deadline_and_the_handshakes_stay(monkeypatch):
    workers = Handshakes(HandshakeResult(Attempt.ok(SEEN), 5))

    attempt, ended = observed(monkeypatch, surveying(Attempt.ok(OFFERS), ANSWERED, takes_s=1000.0), workers)

    assert ended == 60.0
    assert attempt.value.heartbleed.value is False


def test_where_the_survey_is_not_run_handshakes_alone_tell(monkeypatch):
    async def survey(*_arguments, **_options) -> tuple:
        raise AssertionError

    workers = Handshakes(HandshakeResult(Attempt.ok(SEEN), 5))

    attempt, _ = observed(monkeypatch, survey, workers, engine="sslyze")

    assert workers.asked == [(0.0, None)]
    assert attempt.value == SEEN


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeadlineError(), FailureReason.DEADLINE),
        (WorkerError("killed"), FailureReason.ENGINE_ERROR),
        (ZeroDivisionError("a mistake"), FailureReason.ENGINE_ERROR),
    ],
)
def test_a_worker_that_fails_leaves_what_the_survey_saw(monkeypatch, error, reason):
    attempt, _ = observed(monkeypatch, surveying(Attempt.ok(OFFERS), ANSWERED), Handshakes(error))

    assert attempt.value.protocols == OFFERS.protocols
    assert attempt.value.heartbleed.failure.reason is reason
