"""One run, counted everywhere alike: not met, notes, waived, not assessed, met, does not apply."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import openpyxl
from lxml import html
from prometheus_client.parser import text_string_to_metric_families

from reports.deliver_message import Notification, compose_digest
from reports.export.csv import to_csv
from reports.export.json.v1 import to_json
from reports.export.openmetrics import to_prometheus
from reports.export.xlsx import to_xlsx
from reports.render import render_html
from reports.text import render_text
from reports.view import build_view
from scanner.jobs.run import RunOutcome
from scanner.jobs.summary import summary
from scanner.notify.sections import environment_summaries
from scanner.rules import all_rules
from scanner.verdict import finding_id
from tests.build.judged import counts_by_hand, judged_record

RECORD = judged_record(4).record


WANTED = counts_by_hand(RECORD)
SAID = (
    f"{WANTED['not_met']} not met, {WANTED['notes']} notes, {WANTED['waived']} waived, "
    f"{WANTED['not_assessed']} not assessed, {WANTED['met']} met, {WANTED['does_not_apply']} do not apply"
)


def test_the_run_has_every_kind() -> None:
    assert all(WANTED.values())
    assert sum(WANTED.values()) == len(RECORD.verdicts)


def test_page_one() -> None:
    page = html.fromstring(render_html(build_view(RECORD, rules=all_rules()))).get_element_by_id("summary")
    assert SAID in " ".join(page.text_content().split())


def test_terminal() -> None:
    text = render_text(RECORD, rules=all_rules(), width=200)
    first, _, rest = SAID.partition(", ")
    line = next(line for line in text.splitlines() if line.startswith(f"{len(RECORD.targets)} targets · "))
    assert first in line
    assert line.endswith(rest.replace(", ", " · "))


def test_end_of_a_run() -> None:
    assert SAID in summary(RunOutcome(RECORD, None)).splitlines()


def test_json() -> None:
    found = json.loads(to_json(RECORD))["summary"]
    assert (found["not_met"], found["notes"], found["waived"]) == (WANTED["not_met"], WANTED["notes"], WANTED["waived"])
    assert found["fail"] == WANTED["not_met"] + WANTED["notes"] + WANTED["waived"]
    assert (found["indeterminate"], found["pass"]) == (WANTED["not_assessed"], WANTED["met"])
    assert found["not_applicable"] == WANTED["does_not_apply"]


def of_words(counted: Counter[str]) -> dict[str, int]:
    return {name: counted[name.replace("_", "-") if name != "notes" else "note"] for name in WANTED}


def test_csv() -> None:
    rows = csv.DictReader(io.StringIO(to_csv(RECORD), newline=""))
    assert of_words(Counter(row["counted_as"] for row in rows)) == WANTED


def test_xlsx() -> None:
    book = openpyxl.load_workbook(io.BytesIO(to_xlsx(RECORD)), read_only=True)
    for name in ("Environments", "Targets"):
        rows = list(book[name].iter_rows(values_only=True))
        columns = {str(head).lower().replace(" ", "_"): place for place, head in enumerate(rows[0])}
        assert {key: sum(row[columns[key]] or 0 for row in rows[1:]) for key in WANTED} == WANTED


def samples(name: str) -> Iterator[tuple[dict[str, str], float]]:
    for family in text_string_to_metric_families(to_prometheus(RECORD)):
        yield from ((sample.labels, sample.value) for sample in family.samples if sample.name == name)


def test_metrics_of_outcomes() -> None:
    found: Counter[str] = Counter()
    for labels, value in samples("nightseal_checks"):
        found[labels["outcome"]] += int(value)
    names = ("failed", "notes", "waived", "indeterminate", "passed", "not_applicable")
    assert dict(zip(WANTED, (found[name] for name in names), strict=True)) == WANTED


def test_metrics_of_statuses() -> None:
    found: Counter[str] = Counter()
    for labels, value in samples("nightseal_verdicts"):
        note = labels["status"] == "fail" and labels["severity"] == "info"
        found["note" if note else labels["status"]] += int(value)
    names = ("fail", "note", "waived", "indeterminate", "pass", "not-applicable")
    assert dict(zip(WANTED, (found[name] for name in names), strict=True)) == WANTED


def test_messages() -> None:
    summaries = environment_summaries(RECORD)
    told = compose_digest(
        Notification("nightly", RECORD.run.id, datetime(2026, 3, 6, tzinfo=UTC), environments=summaries), attach=False
    )
    assert told.title.endswith(f"{WANTED['not_met']} not met")
    for item in summaries:
        assert item.total.said in told.text
    names = ("failed", "notes", "waived", "indeterminate", "passed", "not_applicable")
    sums = (sum(getattr(item.total, name) for item in summaries) for name in names)
    assert dict(zip(WANTED, sums, strict=True)) == WANTED


def test_what_changed() -> None:
    view = build_view(RECORD, rules=all_rules(), previous=judged_record(1).record)
    assert view.changes is not None
    assert view.changes.failed_now == WANTED["not_met"]


def test_a_finding_is_called_the_same_at_every_address() -> None:
    ids = {
        (target.endpoint, verdict.rule, verdict.subject): finding_id(target, verdict)
        for target in RECORD.targets
        for verdict in target.verdicts
    }
    assert len(set(ids.values())) == len(ids)
    document = json.loads(to_json(RECORD, rules=all_rules()))
    for target in document["targets"]:
        for verdict in target["verdicts"]:
            key = (target["id"].rpartition("@")[0] or target["id"], verdict["rule"], verdict["subject"])
            assert verdict["id"] == ids.get(key, verdict["id"])
            assert document["rules"][verdict["rule"]]["title"] == all_rules()[verdict["rule"]].title
