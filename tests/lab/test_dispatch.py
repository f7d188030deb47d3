"""Many targets at once, each within its bounds, whatever they and the workers do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from scanner import forkserver
from scanner.dispatch import Progress, Stage, WorkerProcesses
from scanner.evidence import (
    Attempt,
    FailureReason,
    Protocol,
    Robot,
    TargetEvidence,
    TlsEvidence,
    from_json,
    to_json,
)
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, StartTls, Target
from scanner.lab import Lab, LabServer
from scanner.pipeline import probe_targets
from scanner.probe import ProbeSettings
from scanner.probe.tls import probe as tls_probe
from scanner.probe.tls.division import HandshakeResult
from tests.build import workers

NAMES = ("good", "static-rsa", "silent", "closed-port", "plain-http-on-tls-port", "smtp-starttls", "post-quantum-only")
ENVIRONMENTS = {"lab": Environment("lab", EnvironmentKind.ON_PREMISES)}
SETTINGS = ProbeSettings(timeout_s=2, deadline_s=20)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=NAMES) as running:
        assert not running.skipped
        yield running


def target_of(server: LabServer, **changes) -> Target:
    starttls = StartTls(server.starttls) if server.starttls else None
    endpoint = Endpoint(
        "lab",
        server.host,
        server.port,
        role=Role.SERVER if starttls else Role.APPLICATION,
        http_port=server.http_port,
        starttls=starttls,
    )
    address = Address(server.address, server.actual_port, server.actual_http_port)
    return Target(endpoint, replace(address, **changes))


def settings_for(lab: Lab, **changes) -> ProbeSettings:
    """Settings under which no name is looked up, and the lab's own CA is trusted."""
    where = {source: tuple(addresses) for source, addresses in lab.connect_to.items()}
    return replace(SETTINGS, connect_to=where, trust_stores=("mozilla", str(lab.ca_file)), **changes)


def forked() -> list[psutil.Process]:
    """What was forked for this process and has not ended."""
    server = forkserver.running()
    return psutil.Process(server).children(recursive=True) if server else []


async def dispatched(
    settings: ProbeSettings,
    *targets: Target,
    on_progress: Callable[[Progress], None] | None = None,
    **options: int,
) -> dict[str, TargetEvidence]:
    probed = probe_targets(targets, ENVIRONMENTS, settings, on_progress=on_progress, **options)
    return {target.id: evidence async for target, evidence in probed}


def one(settings: ProbeSettings, target: Target) -> TargetEvidence:
    (evidence,) = asyncio.run(dispatched(settings, target)).values()
    return evidence


def test_every_target_comes_back_with_what_explains_it_best(lab):
    targets = {name: target_of(lab.servers[name]) for name in NAMES}

    found = asyncio.run(dispatched(settings_for(lab), *targets.values()))
    tls = {name: found[target.id].tls for name, target in targets.items()}

    assert Protocol.TLS1_3 in tls["good"].value.negotiated
    assert Protocol.TLS1_3 in tls["smtp-starttls"].value.negotiated
    assert tls["silent"].failure.reason is FailureReason.TIMED_OUT
    assert tls["closed-port"].failure.reason is FailureReason.REFUSED
    assert tls["plain-http-on-tls-port"].failure.reason is FailureReason.NOT_TLS
    assert found[targets["plain-http-on-tls-port"].id].http.value is not None
    assert found[targets["smtp-starttls"].id].http.failure.reason is FailureReason.NOT_RUN
    assert forked() == []


def test_where_one_engine_fails_the_others_facts_stay_with_the_reason_for_the_rest(lab):
    # sslyze's OpenSSL is older than ML-KEM; the survey is not.
    evidence = one(settings_for(lab), target_of(lab.servers["post-quantum-only"])).tls.value

    assert evidence.negotiated == (Protocol.TLS1_3,)
    assert evidence.heartbleed.failure.reason is FailureReason.HANDSHAKE_FAILED
    assert evidence.early_data.failure == evidence.heartbleed.failure
    # It is about keys sent under RSA, which the survey has seen that nobody sends.
    assert evidence.robot.value is Robot.RSA_NOT_OFFERED


def test_all_evidence_goes_to_json_and_back(lab):
    evidence = one(settings_for(lab), target_of(lab.servers["good"]))

    assert from_json(to_json(evidence)) == evidence


def test_progress_is_told_and_counted(lab):
    told: list[Progress] = []
    targets = [target_of(lab.servers[name]) for name in ("good", "closed-port", "smtp-starttls")]

    asyncio.run(dispatched(settings_for(lab), *targets, on_progress=told.append, concurrency=1))

    assert [step.stage for step in told] == [Stage.STARTED, Stage.DONE] * 3
    assert [step.target_id for step in told] == [target.id for target in targets for _ in range(2)]
    assert [(step.done, step.total) for step in told] == [(0, 3), (1, 3), (1, 3), (2, 3), (2, 3), (3, 3)]


def in_its_place(monkeypatch: pytest.MonkeyPatch, work: Callable) -> asyncio.Event:
    """Let workers do something else than a handshake; the event tells that one has been asked to."""
    started = asyncio.Event()
    ask = WorkerProcesses.run

    async def asked(*arguments, **options) -> HandshakeResult:
        started.set()
        return await ask(*arguments, **options)

    monkeypatch.setattr(tls_probe, "_handshakes", work)
    monkeypatch.setattr(WorkerProcesses, "run", asked)
    return started


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (workers.die, FailureReason.ENGINE_ERROR),
        (workers.raise_error, FailureReason.ENGINE_ERROR),
        (workers.never_return, FailureReason.DEADLINE),
    ],
)
def test_a_worker_that_fails_takes_nothing_with_it(lab, monkeypatch, work, reason):
    in_its_place(monkeypatch, work)

    deadline_s = 10 if reason is FailureReason.DEADLINE else 60
    evidence = one(settings_for(lab, deadline_s=deadline_s), target_of(lab.servers["good"]))

    assert evidence.tls.value.client_renegotiation.failure.reason is reason
    assert Protocol.TLS1_3 in evidence.tls.value.negotiated
    assert evidence.http.value is not None
    assert forked() == []


def test_a_worker_that_died_is_replaced_for_the_next_target(lab, monkeypatch):
    in_its_place(monkeypatch, workers.die_of_the_silent)
    targets = [target_of(lab.servers[name]) for name in ("silent", "good", "static-rsa")]

    found = asyncio.run(dispatched(settings_for(lab), *targets, workers=1))

    silent, *others = (found[target.id] for target in targets)
    assert silent.tls.value is None
    assert [evidence.tls.value.client_renegotiation.failure.detail for evidence in others] == ["alive", "alive"]


def test_one_worker_serves_many_targets_but_not_for_ever(lab, monkeypatch):
    in_its_place(monkeypatch, workers.tell_self)
    monkeypatch.setattr(tls_probe, "_TARGETS_PER_WORKER", 2)
    targets = [target_of(lab.servers[name]) for name in ("good", "static-rsa", "post-quantum-only")]

    found = asyncio.run(dispatched(settings_for(lab), *targets, workers=1))

    first, second, third = (evidence.tls.value.client_renegotiation.failure.detail for evidence in found.values())
    assert first == second != third


def test_workers_are_forked_from_a_process_without_threads(lab, monkeypatch):
    # A copy of this one, with locks that its other threads hold, could wait for them for ever.
    in_its_place(monkeypatch, workers.tell_parent)

    evidence = one(settings_for(lab), target_of(lab.servers["good"]))

    parent = int(evidence.tls.value.client_renegotiation.failure.detail)
    assert parent != os.getpid()
    assert "forkserver" in Path(f"/proc/{parent}/cmdline").read_text()


def test_workers_are_forked_as_there_is_work_for_them(lab, monkeypatch):
    most: list[int] = []
    ask = WorkerProcesses.run

    async def asked(*arguments, **options) -> HandshakeResult:
        result = await ask(*arguments, **options)
        most.append(len(forked()))
        return result

    monkeypatch.setattr(WorkerProcesses, "run", asked)
    unanswering = [target_of(lab.servers[name]) for name in ("silent", "closed-port")]

    asyncio.run(dispatched(settings_for(lab, timeout_s=0.5), *unanswering, workers=12))
    assert most == [], "nobody asks for a handshake where nobody answers"

    asyncio.run(dispatched(settings_for(lab), target_of(lab.servers["good"]), *unanswering, workers=12))
    assert max(most) == 1


@contextlib.contextmanager
def silent_hosts(lab: Lab) -> Iterator[list[Target]]:
    """Eight, of each of which the kernel takes the connection, and nobody ever reads from it."""
    with contextlib.ExitStack() as stack:
        silent = []
        for number in range(8):
            listening = stack.enter_context(socket.create_server((f"127.0.7.{number + 1}", 0)))
            target = target_of(lab.servers["good"])
            address = Address(*listening.getsockname(), None)
            silent.append(Target(replace(target.endpoint, host=f"silent{number}.example"), address))
        yield silent


def test_silent_hosts_hold_no_worker(lab):
    """More of them than there are workers, and none of them ever done: the one that answers does not wait for it."""

    async def first(silent: list[Target]) -> tuple[Target, TargetEvidence]:
        settings = settings_for(lab, timeout_s=600, deadline_s=600)
        targets = [*silent, target_of(lab.servers["good"])]
        async with contextlib.aclosing(
            probe_targets(targets, ENVIRONMENTS, settings, workers=1, concurrency=9)
        ) as found:
            async for target, evidence in found:
                return target, evidence
        raise AssertionError

    with silent_hosts(lab) as silent:
        target, evidence = asyncio.run(first(silent))

    assert target.endpoint.host == lab.servers["good"].host
    assert evidence.tls.value is not None


def test_silent_hosts_time_out_side_by_side(lab):
    with silent_hosts(lab) as silent:
        found = asyncio.run(dispatched(settings_for(lab), *silent, workers=1, concurrency=8))

    assert [found[target.id].tls.failure.reason for target in silent] == [FailureReason.TIMED_OUT] * 8


def test_cancelled_it_leaves_no_process_behind(lab, monkeypatch):
    told: list[Stage] = []

    async def cancelled() -> bool:
        started = in_its_place(monkeypatch, workers.never_return)
        targets = [target_of(lab.servers[name]) for name in ("silent", "good")]
        work = dispatched(settings_for(lab), *targets, on_progress=lambda step: told.append(step.stage))
        task = asyncio.create_task(work)
        await started.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert asyncio.run(cancelled())
    assert told == [Stage.STARTED] * len(told)
    assert forked() == []


def test_a_consumer_that_stops_early_leaves_no_process_behind(lab):
    async def first() -> TargetEvidence:
        targets = [target_of(lab.servers[name]) for name in ("closed-port", "silent")]
        async with contextlib.aclosing(probe_targets(targets, ENVIRONMENTS, settings_for(lab))) as found:
            async for target, evidence in found:
                assert target is targets[0]
                return evidence
        raise AssertionError

    assert asyncio.run(first()).tls.failure.reason is FailureReason.REFUSED
    assert forked() == []


def test_nothing_to_do_is_done():
    assert asyncio.run(dispatched(SETTINGS)) == {}


class Turnstile:
    """Passes connections on to a server, and counts those that the client holds open."""

    def __init__(self, server: LabServer) -> None:
        self.open = self.most = self.total = 0
        self._server = server

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncIterator[int]:
        listening = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        async with listening:
            yield listening.sockets[0].getsockname()[1]

    async def _pass_on(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.open += 1
        self.total += 1
        self.most = max(self.most, self.open)
        server, on = await asyncio.open_connection(self._server.address, self._server.actual_port)

        async def upwards() -> None:
            with contextlib.suppress(OSError):
                while data := await client.read(65_536):
                    on.write(data)
            self.open -= 1
            on.close()

        async def downwards() -> None:
            with contextlib.suppress(OSError):
                while data := await server.read(65_536):
                    # Long enough for connections made side by side to be seen side by side.
                    await asyncio.sleep(0.005)
                    back.write(data)
            back.close()

        await asyncio.gather(upwards(), downwards())


@pytest.mark.parametrize("allowed", [1, 5])
def test_all_probes_together_keep_to_the_connections_allowed_and_count_them(lab, allowed):
    # Static RSA, because the ROBOT test makes a dozen connections there in what sslyze calls one job.
    server = lab.servers["static-rsa"]
    turnstile = Turnstile(server)

    async def scan() -> TargetEvidence:
        async with turnstile.standing() as port:
            target = target_of(server, port=port)
            (evidence,) = (await dispatched(settings_for(lab, connections_per_target=allowed), target)).values()
            return evidence

    evidence = asyncio.run(scan())

    assert evidence.tls.value.robot.value is not None
    assert turnstile.total > 25
    # The plain port is not behind the turnstile.
    assert evidence.connections - turnstile.total in range(4)
    # One may be seen to come before another was seen to go.
    assert turnstile.most <= allowed + 1


def test_a_mistake_in_the_survey_does_not_keep_the_other_engine_from_the_server(lab, monkeypatch):
    async def mistaken(*_arguments, **_options) -> tuple[Attempt[TlsEvidence], int]:
        raise ZeroDivisionError

    monkeypatch.setattr(tls_probe, "survey", mistaken)

    evidence = one(settings_for(lab), target_of(lab.servers["good"])).tls.value

    assert evidence.robot.value is Robot.RSA_NOT_OFFERED
    assert evidence.certificates.value
