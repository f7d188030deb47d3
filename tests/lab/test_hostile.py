"""Servers that mean ill, all of them, through the real command line: each is told for what it is, in time, and alone."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from scanner.dispatch.workers import MOST_MEMORY, WorkerProcesses
from scanner.lab.hostile import Behaviour, behaviours
from scanner.lab.hostile.serving import GOOD
from scanner.probe import ProbeSettings, WorkerError
from scanner.probe.net.budget import Budget
from scanner.verdict import Status
from tests.build import workers
from tests.build.exclusions import excluding_pairs
from tests.build.hostile_lab import Scanned, scan, standing
from tests.build.once import once
from tests.conftest import REPOSITORY

DEADLINE_S = 15.0
LATE_S = 15.0
"""How late a busy machine may be to cut a target off; tests/unit/test_dispatcher.py is exact, in virtual time."""
BEHAVIOURS = {item.name: item for item in behaviours()}
PAGE = REPOSITORY / "docs" / "hostile.md"
BUSY = ("cert", "http")
"""Stages that keep a processor busy: certificates, and what comes over TLS."""
WAITED_FOR = ("tcp", "tls", "starttls")
"""Stages of servers that are waited for. They are waited for at once, each with a lab and a scan of its own."""
RESTING_ON_IT = ("cipher.forward-secrecy", "cipher.allowed")
"""Rules that a suite by RSA key transport would fail."""
STAGES = ("tcp", "tls", "cert", "http", "starttls")

pytestmark = pytest.mark.timeout(300)


def stage_of(behaviour: Behaviour) -> str:
    return "starttls" if behaviour.starttls else behaviour.name.partition("-")[0]


def by_stage(stage: str) -> pytest.MarkDecorator:
    """Each stage is scanned once, and those that keep a processor busy by a worker of their own."""
    return pytest.mark.xdist_group("hostile-waited-for" if stage in WAITED_FOR else f"hostile-{stage}")


EACH_STAGE = [pytest.param(stage, marks=by_stage(stage)) for stage in STAGES]
EACH_BEHAVIOUR = [pytest.param(name, marks=by_stage(stage_of(item))) for name, item in BEHAVIOURS.items()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Scanned:
    """What is said of a good server that is scanned beside nobody."""

    def made(folder: Path) -> Scanned:
        with standing(folder, [GOOD]) as servers:
            return scan(folder, servers, deadline_s=DEADLINE_S)

    return once(tmp_path_factory, "alone", made)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Callable[[str], Scanned]:
    """What is said of the servers of a stage, which are scanned when it is first asked for."""

    @functools.cache
    def found(stages: tuple[str, ...]) -> dict[str, Scanned]:
        folders = [tmp_path_factory.mktemp(stage) for stage in stages]
        with ThreadPoolExecutor(len(stages)) as threads:
            return dict(zip(stages, threads.map(_scanned, folders, stages), strict=True))

    return lambda stage: found(WAITED_FOR if stage in WAITED_FOR else (stage,))[stage]


def _scanned(folder: Path, stage: str) -> Scanned:
    names = [item.name for item in BEHAVIOURS.values() if stage_of(item) == stage]
    with standing(folder, names) as servers:
        # Those that are waited for are waited for at once; those that flood share a processor with the good one.
        at_once = 8 if stage in BUSY else len(servers)
        found = scan(folder, servers, deadline_s=DEADLINE_S, concurrency=at_once)
    if table := os.environ.get("NIGHTSEAL_HOSTILE_TABLE"):
        with Path(table).open("a", encoding="utf-8") as file:
            file.writelines(_row(BEHAVIOURS[name], found) for name in names)
    return found


def _row(behaviour: Behaviour, found: Scanned) -> str:
    """Behaviour, status, seconds, the largest worker of its stage, and the words by which it is told for what it is."""
    target = found.targets[behaviour.name]
    told = re.search(behaviour.told, _told(target))
    words = told[0][:90].replace("|", "/").replace("`", "'") if told else "-"
    figures = f"{target['status']} | {target['duration_s']:.1f} | {found.peak_mib['worker']:.0f}"
    return f"| {behaviour.name} | {behaviour.description} | {figures} | `{words}` |\n"


def test_the_page_has_a_row_for_each_with_a_status_that_fits():
    table = PAGE.read_text().partition("\n| behaviour | ")[2].partition("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    statuses = {row[0].removeprefix("| "): row[2] for row in rows}
    assert statuses.keys() == BEHAVIOURS.keys()
    assert {name: status for name, status in statuses.items() if status not in BEHAVIOURS[name].statuses} == {}


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


def test_each_behaviour_is_told_in_words_that_fit_no_good_server(alone):
    """A pattern that fits what is said of everybody would prove nothing."""
    said = _told(alone.targets[GOOD])
    assert [name for name, behaviour in BEHAVIOURS.items() if re.search(behaviour.told, said)] == []


def _told(target: dict) -> str:
    """Everything that is said of a target: its error, its verdicts, and what was seen."""
    verdicts = [verdict for verdict in target["verdicts"] if verdict["status"] != "not-applicable"]
    return json.dumps([target["error"], verdicts, target["evidence"]])


@by_stage("tls")
@pytest.mark.parametrize("name", ["tls-hello-then-silence", "tls-hello-then-reset"])
def test_a_server_hello_alone_accuses_nobody_of_a_key_exchange(scans, name):
    target = scans("tls").targets[name]
    resting = {item["rule"]: item["status"] for item in target["verdicts"] if item["rule"] in RESTING_ON_IT}
    assert set(resting.values()) == {"indeterminate"}
    assert len(resting) == len(RESTING_ON_IT)


@by_stage("tls")
def test_encrypted_data_in_place_of_an_answer_is_not_taken_for_another_protocol(scans):
    target = scans("tls").targets["tls-early-data"]
    (active,) = [item for item in target["verdicts"] if item["rule"] == "https.active"]
    assert active["status"] == "indeterminate"


@pytest.mark.parametrize("stage", EACH_STAGE)
def test_no_two_verdicts_of_a_hostile_server_contradict_each_other(scans, stage):
    found = {
        name: excluding_pairs(
            [SimpleNamespace(**{**item, "status": Status(item["status"])}) for item in target["verdicts"]]
        )
        for name, target in scans(stage).targets.items()
    }
    assert {name: pairs for name, pairs in found.items() if pairs} == {}


@pytest.mark.parametrize("stage", EACH_STAGE)
def test_no_message_has_an_object_of_python_in_it(scans, stage):
    for target in scans(stage).targets.values():
        told = json.dumps([target["error"], [verdict["message"] for verdict in target["verdicts"]]])
        assert not re.search(r"object at 0x|Traceback|ParseError|\w+Error: |\('error:|b'|<class|Exception\(", told), (
            told[:1500]
        )


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
