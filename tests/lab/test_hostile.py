"""Servers that mean ill, all of them, through the real command line: each is told for what it is, in time, and alone."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.dispatch.workers import MOST_MEMORY, WorkerProcesses
from scanner.lab.hostile import Behaviour, behaviours
from scanner.lab.hostile.serving import GOOD
from scanner.probe import ProbeSettings, WorkerError
from scanner.probe.net.budget import Budget
from tests.build import workers
from tests.build.hostile_lab import Scanned, scan, standing

DEADLINE_S = 15.0
LATE_S = 2.0
BEHAVIOURS = {item.name: item for item in behaviours()}
# Certificates, and what comes over TLS, keep a processor busy; they are scanned apart from those that are silent.
STAGES = ("tcp", "tls", "cert", "http", "starttls")

pytestmark = pytest.mark.timeout(300)


def stage_of(behaviour: Behaviour) -> str:
    return "starttls" if behaviour.starttls else behaviour.name.partition("-")[0]


def by_stage(stage: str) -> pytest.MarkDecorator:
    """Each stage is scanned once, and by a worker of its own."""
    return pytest.mark.xdist_group(f"hostile-{stage}")


EACH_STAGE = [pytest.param(stage, marks=by_stage(stage)) for stage in STAGES]
EACH_BEHAVIOUR = [pytest.param(name, marks=by_stage(stage_of(item))) for name, item in BEHAVIOURS.items()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Scanned:
    """What is said of a good server that is scanned beside nobody."""
    folder = tmp_path_factory.mktemp("alone")
    with standing(folder, [GOOD]) as servers:
        return scan(folder, servers, deadline_s=DEADLINE_S)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Callable[[str], Scanned]:
    """What is said of the servers of a stage, which are scanned when it is first asked for."""
    return functools.cache(lambda stage: _scanned(tmp_path_factory.mktemp(stage), stage))


def _scanned(folder: Path, stage: str) -> Scanned:
    with standing(folder, [item.name for item in BEHAVIOURS.values() if stage_of(item) == stage]) as servers:
        return scan(folder, servers, deadline_s=DEADLINE_S)


def test_there_are_at_least_forty_at_every_stage():
    assert len(BEHAVIOURS) >= 40
    assert {stage_of(item) for item in BEHAVIOURS.values()} == set(STAGES)


@pytest.mark.parametrize("name", EACH_BEHAVIOUR)
def test_each_is_told_for_what_it_is(scans, name):
    behaviour = BEHAVIOURS[name]
    target = scans(stage_of(behaviour)).targets[name]

    assert target["status"] in behaviour.statuses
    assert target["duration_s"] <= DEADLINE_S + LATE_S
    assert re.search(behaviour.told, _told(target)), _told(target)[:2000]
    passed = {verdict["rule"] for verdict in target["verdicts"] if verdict["status"] == "pass"}
    unobserved = [
        rule for rule in passed if not any(rule == known or rule.startswith(f"{known}.") for known in behaviour.passes)
    ]
    assert unobserved == []


def _told(target: dict) -> str:
    """Everything that is said of a target: its error, its verdicts, and what was seen."""
    verdicts = [verdict for verdict in target["verdicts"] if verdict["status"] != "not-applicable"]
    return json.dumps([target["error"], verdicts, target["evidence"]])


@pytest.mark.parametrize("stage", EACH_STAGE)
def test_no_message_has_an_object_of_python_in_it(scans, stage):
    for target in scans(stage).targets.values():
        told = json.dumps([target["error"], [verdict["message"] for verdict in target["verdicts"]]])
        assert not re.search(r"object at 0x|Traceback|\('error:|b'|<class|Exception\(", told), told[:1500]


@pytest.mark.parametrize("stage", EACH_STAGE)
def test_a_good_neighbour_is_seen_as_if_it_were_alone(alone, scans, stage):
    good = scans(stage).targets[GOOD]

    assert good["status"] == alone.targets[GOOD]["status"] == "assessed"
    assert _verdicts(good) == _verdicts(alone.targets[GOOD])


def _verdicts(target: dict) -> list[tuple[str, str, str]]:
    return sorted((item["rule"], item["subject"], item["status"]) for item in target["verdicts"])


@pytest.mark.parametrize("stage", EACH_STAGE)
def test_no_worker_takes_more_memory_than_it_may(scans, stage):
    assert 0 < scans(stage).peak_mib["worker"] < MOST_MEMORY / 2**20
    assert scans(stage).stderr == ""


def test_a_worker_that_wants_more_memory_than_it_may_have_is_refused_it():
    async def hungry(mebibytes: int) -> int:
        async with WorkerProcesses.running(1, tasks_each=5) as processes:
            budget = Budget.alone(ProbeSettings(), "127.0.0.1")
            return await processes.run(workers.eat, mebibytes, budget=budget)

    assert asyncio.run(hungry(100)) == 100
    with pytest.raises(WorkerError, match="more than 300 MiB of memory"):
        asyncio.run(hungry(400))
