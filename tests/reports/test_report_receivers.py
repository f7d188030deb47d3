"""Each format, taken by the tools of those who receive it (`make test-receivers`): built runs, and one over the whole lab."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from lxml import etree

from reports.export.formats import export
from reports.export.json.v1 import published_schema
from scanner.formats import FORMATS as FORMATS_BY_NAME
from scanner.lab import Lab
from scanner.rules import all_rules
from tests.build import whole_lab
from tests.build.hostile import configured_record, hostile_record
from tests.build.judged import judged_record
from tests.build.receiving import ajv, defectdojo, sarif_multitool, sarif_tools, trestle, xunit_schema
from tests.conftest import REPOSITORY, reach

pytestmark = [pytest.mark.receivers, pytest.mark.timeout(whole_lab.SECONDS + 200)]

RULES = all_rules()
SAMPLE = judged_record(4).record
BUILT = {
    "sample": SAMPLE,
    "hostile": hostile_record(),
    "configured": configured_record(),
    "without targets": dataclasses.replace(SAMPLE, targets=()),
}
FORMATS = ("json", "junit", "sarif", "oscal", "defectdojo")
Written = Mapping[str, str]


@pytest.fixture(scope="module")
def whole_lab_run(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A run over every server of the lab, as the command line writes it in each format."""
    folder = tmp_path_factory.mktemp("lab")
    with Lab() as lab:
        (folder / "config.toml").write_text(whole_lab.configuration(lab))
        options = ["--format", ",".join(FORMATS), "--output", f"{folder / 'out'}/", "--quiet"]
        command = [sys.executable, "-m", "scanner.app.cli", "run", "--config", str(folder / "config.toml"), *options]
        done = subprocess.run([*command, *reach(lab)], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (report,) = (folder / "out").glob(f"*.{FORMATS_BY_NAME['sarif'].suffix}")
    return {
        name: report.with_name(f"{report.stem}.{FORMATS_BY_NAME[name].suffix}").read_text("utf-8") for name in FORMATS
    }


@pytest.fixture(params=[*BUILT, "lab"])
def written(request: pytest.FixtureRequest) -> Written:
    if request.param == "lab":
        found: Written = request.getfixturevalue("whole_lab_run")
        return found
    record = BUILT[request.param]
    return {name: export(record, name, rules=RULES).decode() for name in FORMATS}


def test_trestle_takes_the_assessment_results_and_the_catalogue_inside(written: Written, tmp_path: Path) -> None:
    assert trestle(tmp_path, "assessment-results", written["oscal"]) == []
    resources = json.loads(written["oscal"])["assessment-results"]["back-matter"]["resources"]
    (inside,) = [item["base64"] for item in resources if "base64" in item]
    assert trestle(tmp_path, "catalog", base64.b64decode(inside["value"]).decode()) == []


def test_trestle_does_look(tmp_path: Path) -> None:
    text = export(SAMPLE, "oscal", rules=RULES).decode()
    assert trestle(tmp_path, "assessment-results", text.replace('"state":"satisfied"', '"state":"fine"'))


def test_ajv_takes_the_report_and_its_schema(written: Written, tmp_path: Path) -> None:
    assert ajv(tmp_path, json.dumps(published_schema()), written["json"]) == ""


def test_ajv_does_look(tmp_path: Path) -> None:
    text = export(SAMPLE, "json", rules=RULES).decode()
    schema = published_schema()
    assert "must be equal to" in ajv(tmp_path, json.dumps(schema), text.replace('"fail"', '"failed"'))
    assert "must match format" in ajv(
        tmp_path, json.dumps(schema), text.replace(json.loads(text)["run"]["started_at"], "yesterday")
    )


def test_microsofts_and_githubs_rules_find_nothing_in_sarif(written: Written, tmp_path: Path) -> None:
    """But that there is no page about the tool in the network, which an installation does not need."""
    assert sarif_multitool(tmp_path, written["sarif"]) <= {"SARIF2005"}


def test_the_validator_of_sarif_does_look(tmp_path: Path) -> None:
    log = json.loads(export(SAMPLE, "sarif", rules=RULES))
    log["runs"][0]["results"][0]["ruleIndex"] = 7000
    assert {item for item in sarif_multitool(tmp_path, json.dumps(log)) if item.startswith("SARIF1")}


def test_sarif_tools_counts_what_was_written(written: Written, tmp_path: Path) -> None:
    counted = sarif_tools(tmp_path, written["sarif"])
    wanted = Counter(result["level"] for run in json.loads(written["sarif"])["runs"] for result in run["results"])
    assert +Counter(counted) == wanted


def test_jenkins_xunit_plugin_takes_junit(written: Written) -> None:
    schema = xunit_schema()
    schema.assertValid(etree.fromstring(written["junit"].encode()))
    assert not schema.validate(
        etree.fromstring(written["junit"].replace("<testsuites ", '<testsuites skipped="1" ').encode())
    )


def test_defectdojos_parser_takes_every_finding(written: Written, tmp_path: Path) -> None:
    findings, refused = defectdojo(tmp_path, written["defectdojo"])
    wanted = json.loads(written["defectdojo"])["findings"]
    assert refused == []
    assert [item["id"] for item in findings] == [item["unique_id_from_tool"] for item in wanted]
    assert all(item["endpoints"] == 1 for item in findings)
    assert all(item["active"] != item["accepted"] for item in findings)


def test_defectdojos_parser_does_look(tmp_path: Path) -> None:
    text = export(SAMPLE, "defectdojo", rules=RULES).decode()
    findings, refused = defectdojo(tmp_path, text.replace('"impact"', '"effect"'))
    assert findings == []
    assert "Not allowed fields are present: ['effect']" in refused[0]


def test_no_verdict_tells_where_the_scanner_keeps_its_trust_store(whole_lab_run: Written) -> None:
    """A store is called by its file's name. A client's certificate is called by its path, as its owner configured it."""
    for name in ("junit", "sarif", "oscal", "defectdojo"):
        assert re.findall(r"(?<!client:)/tmp/[^\"< ]+", whole_lab_run[name]) == [], name
    said = [verdict for target in json.loads(whole_lab_run["json"])["targets"] for verdict in target["verdicts"]]
    assert any(verdict["expected"].endswith(", ca.pem") for verdict in said)
    assert not [verdict for verdict in said if "/tmp/" in json.dumps(verdict)]  # noqa: S108
