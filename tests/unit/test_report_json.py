"""The JSON format: as the contract draws it, as its schema says, and the same for the same run."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime

import jsonschema
import pytest

from reports.export.json.v1 import from_json, generate_schema, published_schema, report_of, to_json
from scanner.evidence import AcceptedSuite, Attempt, Failure, FailureReason, Protocol, ProtocolOffer, TlsEvidence
from tests.build.hostile import hostile_record
from tests.build.records import sample_history, sample_record

CONTRACT_TARGET_KEYS = {
    "id", "environment", "application", "host", "port", "ip", "role", "status", "error", "grade", "duration_s",
    "connections", "evidence", "verdicts",
}  # fmt: skip
CONTRACT_VERDICT_KEYS = {
    "rule", "status", "severity", "reason", "message", "observed", "expected", "sources", "waiver",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict:
    return json.loads(to_json(sample_record(4)))


def test_published_schema_is_the_one_of_the_models() -> None:
    assert published_schema() == generate_schema()


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(published_schema())


@pytest.mark.parametrize("night", range(5))
def test_every_night_validates(night: int) -> None:
    validator = jsonschema.Draft202012Validator(
        published_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    validator.validate(json.loads(to_json(sample_record(night))))


def test_schema_allows_minor_additions_and_refuses_what_is_missing(document: dict) -> None:
    validator = jsonschema.Draft202012Validator(published_schema())
    validator.validate({**document, "added_in_1_x": True})
    with pytest.raises(jsonschema.ValidationError, match="summary"):
        validator.validate({key: value for key, value in document.items() if key != "summary"})


def test_has_the_keys_of_the_contract(document: dict) -> None:
    assert document["schema"] == "nightseal.report/1"
    assert set(document["tool"]) == {"name", "version"}
    assert {"id", "trigger", "started_at", "finished_at", "policy", "complete"} <= set(document["run"])
    assert set(document["summary"]) == {
        "targets", "assessed", "pass", "fail", "not_applicable", "indeterminate", "waived", "not_met", "notes",
    }  # fmt: skip
    for target in document["targets"]:
        assert set(target) >= CONTRACT_TARGET_KEYS
        for verdict in target["verdicts"]:
            assert set(verdict) >= CONTRACT_VERDICT_KEYS


def test_summary_counts_what_is_there(document: dict) -> None:
    verdicts = [verdict for target in document["targets"] for verdict in target["verdicts"]]
    summary = document["summary"]
    for key, status in (("pass", "pass"), ("fail", "fail"), ("not_applicable", "not-applicable")):
        assert summary[key] == sum(verdict["status"] == status for verdict in verdicts)
    assert summary["waived"] == sum(verdict["waiver"] is not None for verdict in verdicts) > 0
    assert summary["assessed"] == sum(target["status"] == "assessed" for target in document["targets"])
    assert summary["assessed"] < summary["targets"] == len(document["targets"])


def test_waived_verdict_stays_a_failure(document: dict) -> None:
    waived = [v for target in document["targets"] for v in target["verdicts"] if v["waiver"]]
    assert {verdict["status"] for verdict in waived} == {"fail"}
    assert waived[0]["waiver"] == {
        "reason": "Replaced with the ERP in autumn", "owner": "platform-team", "expires": "2026-10-31",
    }  # fmt: skip


def test_evidence_speaks_the_words_of_the_field(document: dict) -> None:
    shop = next(target for target in document["targets"] if target["host"] == "shop.example.com")
    evidence = shop["evidence"]
    assert evidence["protocols"] == ["tls1.2", "tls1.3"]
    assert evidence["ciphers"]["tls1.3"] == ["TLS_AES_128_GCM_SHA256"]
    assert evidence["groups"] == ["x25519mlkem768", "x25519"]
    assert evidence["certificates"][0]["chain"][0]["dns_names"] == ["shop.example.com"]
    assert evidence["certificates"][0]["trust"][0]["trusted"] is True
    assert evidence["http"]["requests"][0]["hops"][0]["status"] == 200
    assert evidence["tls"]["extended_master_secret"] is True


def test_what_was_not_observed_is_listed_with_its_reason(document: dict) -> None:
    partial = next(target for target in document["targets"] if target["status"] == "partial")
    assert {"what": "tls.robot", "reason": "timed-out", "detail": ""} in partial["evidence"]["not_observed"]
    assert "robot" not in partial["evidence"]["tls"]


def test_unresolved_target_has_an_error_and_no_evidence(document: dict) -> None:
    gone = next(target for target in document["targets"] if target["ip"] is None)
    assert gone["status"] == "unreachable"
    assert gone["error"] == {"reason": "unresolvable", "detail": "no answer within 5 s"}
    assert gone["evidence"] is None


def test_times_are_utc(document: dict) -> None:
    assert document["run"]["started_at"] == "2026-03-06T02:00:00Z"
    assert datetime.fromisoformat(document["run"]["finished_at"]).utcoffset() is not None


def test_same_run_gives_the_same_text() -> None:
    assert to_json(sample_record(2)) == to_json(sample_record(2))


def test_reads_back_what_it_wrote() -> None:
    for record in sample_history():
        assert from_json(to_json(record)) == report_of(record)


def test_run_without_targets_is_a_report() -> None:
    empty = dataclasses.replace(sample_record(), targets=())
    document = json.loads(to_json(empty))
    jsonschema.validate(document, published_schema())
    assert document["summary"]["targets"] == 0


def test_every_fact_about_tls_appears_once_it_is_known() -> None:
    record = sample_record()
    target = record.targets[0]
    assert target.evidence is not None
    assert target.evidence.tls.value is not None
    tls: TlsEvidence = dataclasses.replace(target.evidence.tls.value, alpn=Attempt.ok(("h2", "http/1.1")))
    changed = dataclasses.replace(target, evidence=dataclasses.replace(target.evidence, tls=Attempt.ok(tls)))
    document = json.loads(to_json(dataclasses.replace(record, targets=(changed,))))
    assert document["targets"][0]["evidence"]["tls"]["alpn"] == ["h2", "http/1.1"]


@pytest.mark.parametrize("count", [0, 1, 9])
def test_written_target_by_target_it_is_the_report(count: int) -> None:
    record = hostile_record()
    record = dataclasses.replace(record, targets=record.targets[:count])
    assert to_json(record) == report_of(record).model_dump_json(by_alias=True, indent=2) + "\n"


def test_what_was_seen_in_part_is_there_and_is_said_to_be_a_part() -> None:
    record = sample_record()
    target = record.targets[0]
    assert target.evidence is not None
    assert target.evidence.tls.value is not None
    cut_off = Failure(FailureReason.RESET, "the server stopped answering after 20 connections")
    suites = ProtocolOffer((AcceptedSuite("TLS_RSA_WITH_RC4_128_SHA"),))
    tls = dataclasses.replace(
        target.evidence.tls.value,
        protocols={Protocol.TLS1_2: Attempt.partial(suites, cut_off)},
        groups={Protocol.TLS1_2: Attempt.partial(("x25519",), cut_off)},
    )
    changed = dataclasses.replace(target, evidence=dataclasses.replace(target.evidence, tls=Attempt.ok(tls)))
    document = json.loads(to_json(dataclasses.replace(record, targets=(changed,))))
    jsonschema.validate(document, published_schema())
    evidence = document["targets"][0]["evidence"]
    assert evidence["protocols"] == ["tls1.2"]
    assert evidence["ciphers"] == {"tls1.2": ["TLS_RSA_WITH_RC4_128_SHA"]}
    assert evidence["groups"] == ["x25519"]
    told = {"reason": "reset", "detail": "the server stopped answering after 20 connections"}
    assert evidence["incomplete"] == [
        {"what": "tls.protocols.tls1.2", **told},
        {"what": "tls.groups.tls1.2", **told},
    ]
