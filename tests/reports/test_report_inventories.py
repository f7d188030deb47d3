"""CycloneDX and OSCAL, each against its published schema, with what hostile hosts say in them."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from reports.export.crypto_algorithms import of_group, of_signature, of_suite
from reports.export.cyclonedx import to_cyclonedx
from reports.export.oscal import to_oscal
from scanner.rules import all_rules
from scanner.verdict import AppliedWaiver, RunRecord, Status
from tests.build.hostile import configured_record, hostile_record
from tests.build.judged import judged_record

RULES = all_rules()
RECORDS = {"sample": judged_record(4).record, "hostile": hostile_record(), "configured": configured_record()}


@pytest.fixture(params=RECORDS)
def record(request: pytest.FixtureRequest) -> RunRecord:
    return RECORDS[request.param]


def read_by_models(text: str) -> Any:
    """A document of OSCAL, read by models that were made from the published schema."""
    from oscal_bindings import parse_assessment_results  # takes a second to load, and each worker collects this module

    return parse_assessment_results(text)


class TestCycloneDx:
    def test_holds_against_the_published_schema(self, record: RunRecord) -> None:
        text = to_cyclonedx(record)
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None

    def test_validator_does_look(self) -> None:
        text = to_cyclonedx(RECORDS["sample"]).replace('"tls"', '"tsl"')
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is not None

    def test_is_read_by_the_library(self, record: RunRecord) -> None:
        bom = Bom.from_json(json.loads(to_cyclonedx(record)))
        assert bom.validate(), "every reference leads somewhere"
        assert {service.bom_ref.value for service in bom.services} == {target.id for target in record.targets}

    def test_targets_depend_on_what_they_use(self) -> None:
        bom = json.loads(to_cyclonedx(RECORDS["sample"]))
        assets = {item["bom-ref"]: item for item in bom["components"]}
        uses = {item["ref"]: item.get("dependsOn", []) for item in bom["dependencies"]}
        erp = [assets[ref] for ref in uses["legacy/erp.example.internal:443@203.0.113.5"]]
        assert sorted(item["name"] for item in erp) == ["TLS 1.0", "TLS 1.2", "erp.example.internal"]
        (old,) = [item for item in erp if item["name"] == "TLS 1.0"]
        properties = old["cryptoProperties"]["protocolProperties"]
        assert (properties["type"], properties["version"]) == ("tls", "1.0")
        (suite,) = properties["cipherSuites"]
        assert suite["name"] == "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
        parts = {assets[ref]["name"] for ref in suite["algorithms"]}
        assert parts == {"ECDHE", "RSA signature", "AES-128-CBC", "HMAC-SHA1"}

    def test_equal_things_are_one_asset(self) -> None:
        record = RECORDS["sample"]
        bom = json.loads(to_cyclonedx(record))
        leaves = {
            deployment.leaf.fingerprint
            for target in record.targets
            if target.evidence and target.evidence.tls.value
            for deployment in target.evidence.tls.value.certificates.value or ()
        }
        found = [item for item in bom["components"] if item["bom-ref"].startswith("certificate/")]
        assert leaves < {item["hashes"][0]["content"] for item in found}
        assert len(found) == len(leaves) + 1, "and the intermediate"

    def test_what_was_not_looked_at_says_so(self) -> None:
        bom = json.loads(to_cyclonedx(RECORDS["sample"]))
        (gone,) = [item for item in bom["services"] if "gone." in item["name"]]
        told = {item["name"]: item["value"] for item in gone["properties"]}
        assert told["nightseal:status"] == "unreachable"
        assert told["nightseal:not-observed"] == "unresolvable"

    def test_same_run_gives_the_same_bytes(self) -> None:
        assert to_cyclonedx(RECORDS["sample"]) == to_cyclonedx(RECORDS["sample"])

    @pytest.mark.parametrize(
        ("algorithm", "primitive", "level"),
        [
            (of_group("x25519mlkem768"), "combiner", 3),
            (of_group("mlkem1024"), "kem", 5),
            (of_group("x25519"), "key-agree", 0),
            (of_group("ffdhe2048"), "key-agree", 0),
            (of_group("x25519kyber768draft00"), "combiner", None),
            (of_signature("rsa_pss_rsae_sha256"), "signature", 0),
            (of_signature("mldsa65"), "signature", 3),
            (of_signature("something-new"), "signature", None),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else "",
    )
    def test_algorithms_are_what_the_standards_say(self, algorithm, primitive: str, level: int | None) -> None:
        _, properties = algorithm
        assert properties.primitive.value == primitive
        assert properties.nist_quantum_security_level == level

    @pytest.mark.parametrize(
        ("suite", "parts"),
        [
            ("TLS_AES_256_GCM_SHA384", {"AES-256-GCM": 5, "SHA-384": None}),
            ("TLS_CHACHA20_POLY1305_SHA256", {"CHACHA20-POLY1305": None, "SHA-256": None}),
            ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", {"RSA key transport": 0, "3DES-EDE-CBC": None, "HMAC-SHA1": None}),
            ("TLS_RSA_WITH_NULL_MD5", {"RSA key transport": 0, "HMAC-MD5": None}),
            ("TLS_NO_SUCH", {}),
        ],
    )
    def test_suites_are_taken_apart(self, suite: str, parts: dict[str, int | None]) -> None:
        assert {name: item.nist_quantum_security_level for name, item in of_suite(suite)} == parts


class TestOscal:
    def test_is_read_by_models_made_from_the_published_schema(self, record: RunRecord) -> None:
        document = read_by_models(to_oscal(record, rules=RULES))
        results = document.assessment_results.results
        assert len(results) == len(record.run.environments)
        assert sum(len(result.local_definitions.inventory_items) for result in results) == len(record.targets)

    def test_ids_are_unique_and_references_lead_to_them(self, record: RunRecord) -> None:
        document = json.loads(to_oscal(record, rules=RULES))
        ids = list(values(document, "uuid"))
        assert len(ids) == len(set(ids))
        for name in ("subject-uuid", "observation-uuid", "risk-uuid", "actor-uuid", "component-uuid"):
            found = set(values(document, name))
            assert found, name
            assert found <= set(ids), name

    def test_unknown_is_never_satisfied(self, record: RunRecord) -> None:
        results = json.loads(to_oscal(record, rules=RULES))["assessment-results"]["results"]
        states = {
            (name, finding["target"]["target-id"]): finding["target"]["status"]["state"]
            for name, result in zip(record.run.environments, results, strict=True)
            for finding in result["findings"]
        }
        for target in record.targets:
            for verdict in target.verdicts:
                if verdict.counted_as in {"not-met", "waived", "not-assessed"}:
                    assert states[target.environment, verdict.rule] == "not-satisfied"
        assert set(states.values()) == {"satisfied", "not-satisfied"}

    def test_waived_risk_is_an_approved_deviation(self) -> None:
        results = json.loads(to_oscal(RECORDS["sample"], rules=RULES))["assessment-results"]["results"]
        risks = [risk for result in results for risk in result["risks"]]
        (waived,) = [risk for risk in risks if risk["status"] == "deviation-approved"]
        assert "Replaced with the ERP in autumn; platform-team; until 2026-" in str(waived["props"])

    def test_a_note_is_satisfied_and_said(self) -> None:
        record = judged_record(4).record
        document = json.loads(to_oscal(record, rules=all_rules()))
        for name, result in zip(record.run.environments, document["assessment-results"]["results"], strict=True):
            kinds: dict[str, set[str]] = {}
            for target in record.targets:
                for verdict in target.verdicts if target.environment == name else ():
                    kinds.setdefault(verdict.rule, set()).add(verdict.counted_as)
            for finding in result["findings"]:
                rule, status = finding["target"]["target-id"], finding["target"]["status"]
                if kinds[rule] <= {"note", "met", "does-not-apply"}:
                    assert status["state"] == "satisfied"
                    assert ("recommendations" in status.get("remarks", "")) == ("note" in kinds[rule])

    def test_ids_of_the_same_thing_last(self) -> None:
        def of(night: int) -> dict[str, set[str]]:
            results = json.loads(to_oscal(judged_record(night).record, rules=all_rules()))["assessment-results"][
                "results"
            ]
            return {
                name: {item["uuid"] for result in results for item in result.get(name, ())}
                for name in ("risks", "findings", "observations")
            }

        before, after = of(0), of(4)
        assert before["findings"] & after["findings"]
        assert before["risks"] & after["risks"]
        assert not before["observations"] & after["observations"], "what was observed is of one run"

    def test_a_waiver_of_several_lines_is_one_string(self) -> None:
        record = judged_record(4).record
        waiver = AppliedWaiver("first\nsecond\t line", "team", date(2026, 12, 1))
        targets = tuple(
            dataclasses.replace(
                target,
                verdicts=tuple(
                    dataclasses.replace(item, waiver=waiver) if item.status is Status.FAIL else item
                    for item in target.verdicts
                ),
            )
            for target in record.targets
        )
        text = to_oscal(RunRecord(record.run, targets), rules=all_rules())
        assert "first second line; team; until 2026-12-01" in text
        for value in values(json.loads(text), "value"):
            assert re.fullmatch(r"\S(.*\S)?", value), value

    def test_the_rules_travel_as_a_catalogue(self) -> None:
        document = json.loads(to_oscal(judged_record(4).record, rules=all_rules()))["assessment-results"]
        (encoded,) = [item["base64"] for item in document["back-matter"]["resources"] if "base64" in item]
        catalog = json.loads(base64.b64decode(encoded["value"]))["catalog"]
        ids = {item["id"] for item in catalog["controls"]}
        used = {
            control["control-id"]
            for result in document["results"]
            for selection in result["reviewed-controls"]["control-selections"]
            for control in selection.get("include-controls", ())
        }
        assert used <= ids

    def test_a_run_without_targets_still_says_which_controls_it_is_about(self) -> None:
        """OSCAL wants a list of controls or all of them; a list of none is refused."""
        record = dataclasses.replace(RECORDS["sample"], targets=())
        text = to_oscal(record, rules=RULES)
        assert read_by_models(text)
        for result in json.loads(text)["assessment-results"]["results"]:
            (selection,) = result["reviewed-controls"]["control-selections"]
            assert selection["include-all"] == {}
            assert "nothing was there to be judged" in selection["description"]
            assert "findings" not in result

    def test_what_travels_is_linked_to(self, record: RunRecord) -> None:
        document = json.loads(to_oscal(record, rules=RULES))["assessment-results"]
        inside = {f"#{item['uuid']}" for item in document["back-matter"]["resources"]}
        assert {item["href"] for item in document["metadata"]["links"]} == inside
        assert document["import-ap"]["href"] in inside

    @pytest.mark.parametrize("name", ["2026-own", "-x", "own policy", "tls"])
    def test_files_inside_are_named_as_oscal_allows(self, name: str) -> None:
        record = RECORDS["sample"]
        policy = dataclasses.replace(record.run.policy, id=name)
        text = to_oscal(dataclasses.replace(record, run=dataclasses.replace(record.run, policy=policy)), rules=RULES)
        (encoded,) = values(json.loads(text), "base64")
        assert re.fullmatch(r"[^\W\d][\w.-]*", encoded["filename"])

    def test_titles_are_read_as_they_are_written(self) -> None:
        text = to_oscal(judged_record(4).record, rules=all_rules())
        assert "TLS\\\\-" not in text
        assert "proto.no-tls1.0: fail, offered" in text

    def test_prose_means_nothing_as_markdown(self) -> None:
        results = json.loads(to_oscal(RECORDS["hostile"], rules=RULES))["assessment-results"]["results"]
        prose = [item["description"] for result in results for item in result["observations"]]
        assert any(r"\<script\>alert(1)" in text for text in prose)
        assert not any(re.search(r"(?<!\\)[<*_`\[]", text) for text in prose)


def values(node: object, name: str) -> Iterator[str]:
    """Every value of a key, however deep."""
    if isinstance(node, dict):
        if name in node:
            yield node[name]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from values(item, name)


@pytest.mark.parametrize("write", [to_cyclonedx, lambda record: to_oscal(record, rules=RULES)])
def test_run_without_targets(write) -> None:
    assert json.loads(write(dataclasses.replace(RECORDS["sample"], targets=())))
