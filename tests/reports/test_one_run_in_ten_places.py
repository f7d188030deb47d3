"""One run of a history, as ten outputs of the real commands count it: none of them may say another number.

Each number is read out of what people or programs get, and compared with the verdicts counted by hand.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import html
from prometheus_client.parser import text_string_to_metric_families

from reports.deliver_message import Notification, compose_digest
from scanner.history import History
from scanner.jobs.run import RunOutcome
from scanner.jobs.summary import summary
from scanner.notify.sections import environment_summaries
from scanner.verdict import CountedAs, Goal, RunRecord, Status
from tests.build.command_line import call
from tests.build.judged import counts_by_hand, judged_record
from tests.build.servers import program

RECORD, BEFORE = judged_record(4).record, judged_record(1).record
WANTED = counts_by_hand(RECORD)
_NUMBER = r"([\d,]*\d)"
_COUNTS = re.compile(
    rf"{_NUMBER} not met(?: \([^)]*\))?\W+{_NUMBER} notes?\W+{_NUMBER} waived\W+{_NUMBER} not assessed\W+{_NUMBER} met\W+"
    rf"{_NUMBER} do(?:es)? not apply"
)
"""All six, in the order in which they are always said, whatever stands between them."""


@dataclass(frozen=True)
class Places:
    """Where the ten outputs were written."""

    folder: Path

    def said(self, *arguments: str) -> str:
        """What a command says."""
        return call(*arguments, cwd=self.folder).out

    def text(self, suffix: str) -> str:
        """A report."""
        return self.file(suffix).read_text("utf-8")

    def file(self, suffix: str) -> Path:
        """Where it is."""
        return self.folder / "out" / f"{RECORD.run.id}.{suffix}"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    folder = tmp_path_factory.mktemp("ten")
    history = History.open(folder / "history", create=True)
    history.append(BEFORE)
    history.append(RECORD)
    (folder / "config.toml").write_text(
        '[nightseal]\nhistory = "history"\n'
        + "".join(f'[[environment]]\nname = "{name}"\nkind = "paas"\n' for name in RECORD.run.environments)
    )
    formats = "html,pdf,json,csv,prometheus,text"
    done = call("report", "--run", RECORD.run.id, "--format", formats, "--output", "out/", "--quiet", cwd=folder)
    assert done.err == ""
    return Places(folder)


def counted(text: str) -> dict[str, int]:
    """The six numbers where they first stand together."""
    found = _COUNTS.search(" ".join(text.split()))
    assert found, f"nothing is counted in: {text[:2000]}"
    return {name: int(number.replace(",", "")) for name, number in zip(WANTED, found.groups(), strict=True)}


def in_terminal(places: Places) -> dict[str, int]:
    return counted(places.text("txt"))


def at_the_end_of_a_run(_: Places) -> dict[str, int]:
    return counted(summary(RunOutcome(RECORD, None)))


def in_html(places: Places) -> dict[str, int]:
    page = html.fromstring(places.text("html").encode()).get_element_by_id("summary")
    return counted(page.text_content())


def in_pdf(places: Places) -> dict[str, int]:
    arguments = [program("pdftotext", "poppler-utils"), "-l", "1", str(places.file("pdf")), "-"]
    done = subprocess.run(arguments, capture_output=True, check=True, text=True)
    return counted(done.stdout)


def in_history(places: Places) -> dict[str, int]:
    rows = json.loads(places.said("history", "runs", "--format", "json"))
    (row,) = (row for row in rows if row["run_id"] == RECORD.run.id)
    return {name: row[name] for name in WANTED}


def in_verify(places: Places) -> dict[str, int]:
    return counted(places.said("verify", str(places.file("pdf"))))


def in_diff(places: Places) -> dict[str, int]:
    then, now = re.findall(r"^(?:Then|Now) .*$", places.said("diff", BEFORE.run.id, RECORD.run.id), re.MULTILINE)
    assert counted(then) == counts_by_hand(BEFORE)
    return counted(now)


def in_metrics(places: Places) -> dict[str, int]:
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(places.text("prom")):
        for sample in family.samples:
            if sample.name == "nightseal_checks":
                found[sample.labels["outcome"]] += int(sample.value)
    names = ("failed", "notes", "waived", "indeterminate", "passed", "not_applicable")
    return {name: found[outcome] for name, outcome in zip(WANTED, names, strict=True)}


def in_messages(_: Places) -> dict[str, int]:
    told = compose_digest(
        Notification("nightly", RECORD.run.id, datetime.now(UTC), environments=environment_summaries(RECORD)),
        attach=False,
    )
    lines = [line for line in told.text.splitlines() if line.startswith("- ")]
    assert len(lines) == len(RECORD.run.environments)
    return {name: sum(counted(line)[name] for line in lines) for name in WANTED}


def in_csv(places: Places) -> dict[str, int]:
    rows = csv.DictReader(io.StringIO(places.text("csv"), newline=""))
    found = Counter(row["counted_as"] for row in rows)
    return {name: found[name.replace("_", "-") if name != "notes" else "note"] for name in WANTED}


def in_json(places: Places) -> dict[str, int]:
    told = json.loads(places.text("json"))["summary"]
    others = {"not_assessed": "indeterminate", "met": "pass", "does_not_apply": "not_applicable"}
    return {name: told[others.get(name, name)] for name in WANTED}


@pytest.mark.parametrize(
    "place",
    [
        in_terminal, at_the_end_of_a_run, in_html, in_pdf, in_history, in_verify, in_diff, in_metrics, in_messages, in_csv,
        in_json,
    ],
)  # fmt: skip
def test_counts_the_run_as_all_others_do(places: Places, place: Callable[[Places], dict[str, int]]) -> None:
    assert place(places) == WANTED


def mended(record: RunRecord, environment: str) -> RunRecord:
    """The run, with everything met in an environment but what is only a note."""
    bad = {CountedAs.NOT_MET, CountedAs.NOT_ASSESSED, CountedAs.WAIVED}
    targets = tuple(
        replace(
            target,
            verdicts=tuple(
                replace(verdict, status=Status.PASS, waiver=None) if verdict.counted_as in bad else verdict
                for verdict in target.verdicts
            ),
        )
        if target.environment == environment
        else target
        for target in record.targets
    )
    return RunRecord(record.run, targets)


def test_the_page_of_all_runs_counts_each_protection_as_the_report_does(tmp_path: Path) -> None:
    """Of each environment and protection it says the gravest count alone; a note is not met, and not "met" either."""
    record = mended(RECORD, "production")
    History.open(tmp_path / "history", create=True).append(record)
    (tmp_path / "config.toml").write_text('[nightseal]\nhistory = "history"\n')
    call("report", "--site", "--output", ".", cwd=tmp_path)
    page = html.fromstring((tmp_path / "index.html").read_bytes())
    order = (CountedAs.NOT_MET, CountedAs.NOT_ASSESSED, CountedAs.WAIVED, CountedAs.MET, CountedAs.NOTE)
    words = {CountedAs.NOT_MET: "not met", CountedAs.NOT_ASSESSED: "not assessed", CountedAs.NOTE: "notes"}
    with_notes = 0
    for row in page.xpath("//table[contains(@class, 'seen')]/tbody/tr"):
        environment = row.xpath("th/text()")[0].strip()
        for goal, cell in zip(Goal, row.xpath("td"), strict=False):
            counts = Counter(
                verdict.counted_as
                for target in record.targets
                if target.environment == environment
                for verdict in target.verdicts
                if verdict.goal is goal
            )
            gravest = next((kind for kind in order if counts[kind]), None)
            wanted = f"{counts[gravest]} {words.get(gravest, gravest)}" if gravest else "nothing judged"
            assert " ".join(" ".join(cell.itertext()).split()) == wanted, (environment, goal)
            with_notes += gravest is CountedAs.MET and counts[CountedAs.NOTE] > 0
    assert with_notes, "in no cell would a note be taken for something that is met"


def test_the_run_is_one_that_every_number_tells_apart() -> None:
    assert len(set(WANTED.values())) == len(WANTED)
    assert counts_by_hand(BEFORE) != WANTED
