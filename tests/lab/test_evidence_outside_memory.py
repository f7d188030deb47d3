"""A run over more targets than are held in memory gives what it gives in memory, and the history gets the same rows."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from msgspec import structs

from scanner.evidence import TargetEvidence
from scanner.history import History
from scanner.inventory import Inventory
from scanner.jobs.rule_choice import RuleChoice
from scanner.pipeline import Job, execute, run
from scanner.probe import ProbeSettings
from scanner.verdict import RunRecord, TargetResult
from tests.build.judged import WAIVERS, judged_record

SAMPLE = judged_record(4)
SEEN = [target for target in SAMPLE.record.targets if target.evidence is not None]


def job_of(answers: Path, *, held: int) -> Job:
    """The sample again, everything at its own address and known already, so that nothing is asked."""
    connect_to = {
        target.address: tuple(f"{same.ip}:{same.port}" for same in SEEN if same.endpoint == target.endpoint)
        for target in SEEN
    }
    known: dict[str, TargetEvidence] = {target.id: target.evidence for target in SEEN if target.evidence is not None}
    wanted = {target.endpoint for target in SEEN}
    environments = tuple(
        dataclasses.replace(item, endpoints=tuple(filter(lambda endpoint: endpoint.id in wanted, item.endpoints)))
        for item in SAMPLE.environments.values()
    )
    return Job(
        Inventory(environments),
        SAMPLE.policies["production"],
        SAMPLE.policies,
        ProbeSettings(online=False, connect_to=connect_to),
        waivers=WAIVERS,
        run_id="20260320T020000Z-0000aa",
        known=known,
        answers=answers,
        held=held,
    )


def at_one_time(record: RunRecord) -> RunRecord:
    """The record without when it was made."""
    moment = SAMPLE.record.run.started_at
    return dataclasses.replace(record, run=dataclasses.replace(record.run, started_at=moment, finished_at=moment))


def in_memory(target: TargetResult) -> bool:
    """Whether the evidence is an object that stays, and is not read anew each time."""
    return target.evidence is target.evidence


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where keys are kept, with the moment at which each was seen first: the same one for all of these runs."""
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def outside(answers: Path) -> RunRecord:
    """A run that holds no evidence in memory."""
    return asyncio.run(execute(job_of(answers, held=0)))


def test_it_gives_the_same(outside: RunRecord, answers: Path) -> None:
    assert len(outside.targets) == len(SEEN)
    assert not any(map(in_memory, outside.targets))
    inside = asyncio.run(execute(job_of(answers, held=50)))
    assert all(map(in_memory, inside.targets))
    assert at_one_time(outside) == at_one_time(inside)


def test_whoever_scans_from_python_gets_all_of_it(outside: RunRecord, answers: Path) -> None:
    record = run(job_of(answers, held=0))
    assert all(map(in_memory, record.targets))
    assert at_one_time(record) == at_one_time(outside)


def test_the_history_keeps_the_same(outside: RunRecord, tmp_path: Path) -> None:
    rows: list[list[list[Any]]] = []
    for name, record in (("outside", outside), ("inside", outside.loaded())):
        history = History.open(tmp_path / name, create=True)
        history.append(record)
        assert history.record(record.run.id) == record
        rows.append([sorted(table.astype(str).to_numpy().tolist()) for table in _tables(history)])
    assert rows[0] == rows[1]


def _tables(history: History) -> list[pd.DataFrame]:
    return [history.runs(), history.targets(), history.certificates(), history.verdicts(), history.evidence()]


def test_what_was_not_asked_for_is_left_out_of_it_as_well(outside: RunRecord) -> None:
    chosen = RuleChoice(("cert.*",)).applied(outside)
    assert not any(map(in_memory, chosen.targets))
    assert chosen == RuleChoice(("cert.*",)).applied(outside.loaded())
    assert chosen != outside


class Ending(dict[str, TargetEvidence]):
    """What is known; once three targets were asked for, the run is ended."""

    run: asyncio.Task[RunRecord]
    asked = 0

    def get(self, key: str, default: Any = None) -> Any:
        """What is known of a target."""
        self.asked += 1
        if self.asked == 3:  # so many
            self.run.cancel()
        return super().get(key, default)


def test_an_interrupted_run_gives_what_was_seen_by_then(answers: Path) -> None:
    job = job_of(answers, held=0)
    known = Ending(job.known)

    async def ended() -> RunRecord:
        known.run = asyncio.create_task(execute(structs.replace(job, known=known)))
        return await known.run

    record = asyncio.run(ended())
    assert not record.run.complete
    assert len(record.targets) >= 1
    assert not any(map(in_memory, record.targets))
    assert all(target.verdicts for target in record.targets)
    seen = {target.id: target.evidence for target in SEEN}
    assert all(target.evidence == seen[target.id] for target in record.targets)
