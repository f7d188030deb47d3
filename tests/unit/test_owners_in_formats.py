"""Who answers, and labels, in the formats of programs: what two owners share names both, and metrics stay bounded."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from reports.export.formats import export
from reports.export.numbers import families_of, numbers_of
from scanner.config.loading import parse
from scanner.inventory import Role
from scanner.jobs.output import Rendering
from scanner.jobs.reporting import owned, owners_of, roles_of
from scanner.ownership import Ownership
from scanner.verdict import CountedAs, RunRecord
from tests.build.judged import judged_record
from tests.build.records import sample_record

RECORD = judged_record(4).record
SHOP = next(target for target in RECORD.targets if target.host == "shop.example.com")
LABELS = (("site", "porto"), ("tier", "1"))
CONTACTS = ["apps@example.com", "ext. 4711"]
OWNERS = {SHOP.endpoint: Ownership("apps", CONTACTS[0], LABELS, ("intranet",), (("intranet", CONTACTS[1]),))}
NOT_MET = sum(item.counted_as is CountedAs.NOT_MET for item in SHOP.verdicts)


def written(name: str) -> bytes:
    return export(RECORD, name, rules={}, owners=OWNERS)


def test_json_lists_all_owners_and_the_first_by_itself() -> None:
    targets = {item["id"]: item for item in json.loads(written("json"))["targets"]}

    assert targets[SHOP.id]["owner"] == "apps"
    assert targets[SHOP.id]["owners"] == ["apps", "intranet"]
    assert targets[SHOP.id]["labels"] == {"site": "porto", "tier": "1"}
    assert targets[SHOP.id]["contact"] == CONTACTS[0]
    assert targets[SHOP.id]["contacts"] == CONTACTS
    assert all(
        item["owners"] == item["contacts"] == [] for key, item in targets.items() if not key.startswith(SHOP.endpoint)
    )


def test_csv_names_both() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv").decode())))

    assert {row["owner"] for row in rows if row["target"] == SHOP.id} == {"apps; intranet"}
    assert {row["labels"] for row in rows if row["target"] == SHOP.id} == {"site=porto tier=1"}
    assert {row["contact"] for row in rows if row["target"] == SHOP.id} == {"apps@example.com; ext. 4711"}
    assert {row["contact"] for row in rows if not row["target"].startswith(SHOP.endpoint)} == {""}


def test_csv_says_of_each_console_which_it_is() -> None:
    judged = next(item for item in SHOP.verdicts if item.rule == "https.console")
    at_paths = tuple(
        dataclasses.replace(judged, subject=path) for path in ("/ServiceCenter", "/ServiceStudio", "/other")
    )
    target = dataclasses.replace(SHOP, verdicts=at_paths)
    roles = {SHOP.endpoint: {"/ServiceCenter": Role.MONITORING, "/ServiceStudio": Role.DEVELOPMENT}}

    text = export(RunRecord(RECORD.run, (target,)), "csv", rules={}, roles=roles).decode()

    assert {row["subject"]: row["role"] for row in csv.DictReader(io.StringIO(text))} == {
        "/ServiceCenter": "monitoring", "/ServiceStudio": "development", "/other": SHOP.role,
    }  # fmt: skip


def test_the_roles_of_consoles_come_from_the_configuration() -> None:
    text = """
[[environment]]
name = "production"
kind = "on-premises"
  [[environment.endpoint]]
  host = "shop.example"
  role = "monitoring"
  paths = ["/ServiceCenter"]
  [[environment.endpoint]]
  host = "shop.example"
  role = "development"
  paths = ["/ServiceStudio"]
  [[environment.endpoint]]
  host = "other.example"
"""
    config = parse(text, source="config.toml", folder=Path())

    assert roles_of(config) == {
        "production/shop.example:443": {"/ServiceCenter": Role.MONITORING, "/ServiceStudio": Role.DEVELOPMENT}
    }


def test_sarif_names_both_at_each_result() -> None:
    results = [item for run in json.loads(written("sarif"))["runs"] for item in run["results"]]

    def of_shop(result: Any) -> bool:
        return result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].startswith(SHOP.endpoint)

    theirs = [item for item in results if of_shop(item)]

    assert theirs
    assert all(item["properties"]["owners"] == ["apps", "intranet"] for item in theirs)
    assert all(item["properties"]["labels"] == {"site": "porto", "tier": "1"} for item in theirs)
    assert all(item["properties"]["contacts"] == CONTACTS for item in theirs)
    assert not any({"owners", "contacts"} & item["properties"].keys() for item in results if not of_shop(item))


@pytest.mark.parametrize("sheet", ["Targets", "Verdicts"])
def test_the_workbook_has_columns_for_them(sheet: str) -> None:
    page: Any = openpyxl.load_workbook(io.BytesIO(written("xlsx")))[sheet]
    head, *rows = [[cell.value for cell in row] for row in page.iter_rows()]
    found = [dict(zip(head, row, strict=True)) for row in rows]

    assert {(row["Owner"], row["Labels"], row["Contact"]) for row in found if row["Target"] == SHOP.id} == {
        ("apps; intranet", "site=porto tier=1", "apps@example.com; ext. 4711")
    }
    assert {row["Owner"] for row in found if not row["Target"].startswith(SHOP.endpoint)} == {None}


def test_defectdojo_tags_both() -> None:
    tags = [item["tags"] for item in json.loads(written("defectdojo"))["findings"]]

    said = {"owner:apps", "owner:intranet", "tier:1", "contact:apps@example.com", "contact:ext. 4711"}
    assert any(said <= set(item) for item in tags)


@pytest.mark.parametrize("name", ["prometheus", "openmetrics"])
def test_metrics_count_a_failure_of_two_for_both(name: str) -> None:
    lines = [line for line in written(name).decode().splitlines() if line.startswith("nightseal_owner_failures{")]

    for owner in ("apps", "intranet"):
        theirs = [line for line in lines if f'owner="{owner}"' in line]
        assert len(theirs) == 4, "each severity, with its zero"
        assert sum(float(line.split()[-1]) for line in theirs) == NOT_MET
    assert "nightseal_owner_failures" not in export(RECORD, name, rules={}).decode()
    assert CONTACTS[0] not in written(name).decode(), "text without bounds is no label of a metric"


def part_of(name: str) -> tuple[bytes, bytes]:
    """The report of one owner, and that of everybody."""
    part = owned(Rendering(RECORD, owners=OWNERS), "apps", ("tier=1",)).record
    return export(part, name, rules={}, owners=OWNERS), written(name)


def test_csv_says_that_it_is_a_part() -> None:
    theirs, whole = (list(csv.DictReader(io.StringIO(item.decode()))) for item in part_of("csv"))

    assert {row["part"] for row in theirs} == {SAID_OF_PART}
    assert {row["part"] for row in whole} == {""}


def test_defectdojo_says_that_it_is_a_part() -> None:
    theirs, whole = map(json.loads, part_of("defectdojo"))

    assert theirs["description"] == SAID_OF_PART
    assert "description" not in whole


@pytest.mark.parametrize("name", ["prometheus", "openmetrics"])
def test_metrics_say_that_they_are_of_a_part(name: str) -> None:
    theirs, whole = (item.decode() for item in part_of(name))

    (info,) = [line for line in theirs.splitlines() if line.startswith("nightseal_run_info{")]
    assert f'part="{SAID_OF_PART}"' in info
    assert 'part="' not in whole


SAID_OF_PART = "Part of the run: only what belongs to apps, what has the label tier=1. All numbers are of this part."


def test_metrics_have_at_most_a_hundred_owners() -> None:
    names = [f"team-{number:03}" for number in range(250)]
    (family,) = (
        item
        for item in families_of({"nightly": numbers_of(RECORD, {SHOP.endpoint: names})})
        if item.name == "nightseal_owner_failures"
    )
    counts = {sample.labels["owner"]: 0.0 for sample in family.samples}
    for sample in family.samples:
        counts[sample.labels["owner"]] += sample.value

    assert len(counts) == 101
    assert counts["(others)"] == 150 * NOT_MET


CONFIG = """
[[environment]]
name = "test"
kind = "on-premises"
  [[environment.application]]
  name = "Shop"
  kind = "traditional-web"
  host = "shop.test.example.com"
  owner = "apps"
  contact = "apps@example.com"
  [[environment.application]]
  name = "Intranet"
  kind = "traditional-web"
  host = "shop.test.example.com"
  owner = "intranet"
  contact = "ext. 4711"
"""


@pytest.mark.parametrize("name", ["apps", "intranet"])
def test_the_report_of_either_owner_has_what_they_share(name: str) -> None:
    owners = owners_of(parse(CONFIG, source="config.toml", folder=Path()))
    assert owners["test/shop.test.example.com:443"].owners == ("apps", "intranet")
    assert owners["test/shop.test.example.com:443"].contacts == ("apps@example.com", "ext. 4711")

    found = owned(Rendering(sample_record(), owners=owners), name, ())
    assert {target.endpoint for target in found.record.targets} == {"test/shop.test.example.com:443"}
