"""JSON, format `nightseal.report/1`: a run in its outer form (`v1_model`), and read back.

The JSON Schema is checked in beside this module (`schema/nightseal.report-1.json`), and a test holds it and the models
together.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

from reports.export.json.evidence import evidence_document
from reports.export.json.evidence_http import failure_of
from reports.export.json.evidence_model import FailureOut
from reports.export.json.v1_model import (
    SCHEMA_ID,
    AbsentDomainOut,
    Grading,
    NotCoveredOut,
    PartOut,
    Policy,
    Report,
    RuleOut,
    Run,
    Summary,
    Target,
    Tool,
    VantageOut,
    VerdictOut,
    WaiverOut,
)
from reports.export.json.v1_words import described
from reports.view.numbering import FindingNumbers, numbers_of
from scanner.grade import METHOD, explained
from scanner.ownership import Ownership
from scanner.standpoint import Part
from scanner.verdict import (
    CountedAs,
    PolicyRef,
    RunRecord,
    Status,
    TargetResult,
    TargetStatus,
    Verdict,
    count,
    finding_id,
)

if TYPE_CHECKING:
    from scanner.rules import Rule

SCHEMA_URI = "urn:nightseal:report:1"
"""A name by RFC 8141; that of the schema, not an address from which it could be fetched."""
_INDENT = 2
TOOL_NAME = "nightseal"
_SCHEMA_FILE = "nightseal.report-1.json"


FirstSeen = Mapping[tuple[str, str, str], datetime]
"""Since when something fails, by endpoint (`environment/host:port`), rule and subject."""
Owners = Mapping[str, Ownership]
"""Who answers for an endpoint, and its labels."""


def report_of(
    record: RunRecord,
    *,
    rules: Mapping[str, Rule] | None = None,
    first_seen: FirstSeen | None = None,
    owners: Owners | None = None,
) -> Report:
    """Bring a run into the outer form.

    Args:
        record: the run.
        rules: by id, to be described; one that is not among them goes without words.
        first_seen: what the history knows of when failures began.
        owners: who answers for what.
    """
    now = record.run.finished_at
    numbers = numbers_of(record)
    targets = [_target(target, now, first_seen or {}, owners or {}, numbers) for target in record.targets]
    return _without_targets(record, rules or {}).model_copy(update={"targets": targets})


def _without_targets(record: RunRecord, rules: Mapping[str, Rule]) -> Report:
    """Everything but the targets themselves."""
    used = dict.fromkeys(verdict.rule for verdict in record.verdicts)
    counts = count(record.verdicts)
    run = record.run
    return Report(
        schema_=SCHEMA_ID,
        tool=Tool(name=TOOL_NAME, version=run.tool_version),
        run=Run(
            id=run.id,
            trigger=run.trigger.value,
            started_at=run.started_at,
            finished_at=run.finished_at,
            policy=_policy(run.policy),
            complete=run.complete,
            expected_targets=run.expected_targets,
            schedule=run.schedule,
            environments=list(run.environments),
            policies={name: _policy(policy) for name, policy in run.policies.items()},
            config_digest=run.config_digest,
            trust_stores=dict(run.trust_stores),
            engines=dict(run.engines),
            absent_domains=[
                AbsentDomainOut(
                    environment=domain.environment,
                    host=domain.host,
                    port=domain.port,
                    named_by=domain.named_by.value,
                    error=FailureOut(reason=domain.failure.reason.value, detail=domain.failure.detail),
                )
                for domain in run.absent_domains
            ],
            vantage=VantageOut.model_validate(dataclasses.asdict(run.vantage)) if run.vantage else None,
            not_covered=[NotCoveredOut.model_validate(dataclasses.asdict(item)) for item in run.not_covered],
            not_covered_total=run.not_covered_total,
            part=_part(run.part) if run.part else None,
        ),
        summary=Summary(
            targets=len(record.targets),
            assessed=sum(target.status is TargetStatus.ASSESSED for target in record.targets),
            pass_=counts.passed,
            fail=counts.failed,
            not_applicable=counts.not_applicable,
            indeterminate=counts.indeterminate,
            waived=counts.waived,
            not_met=counts.not_met,
            notes=counts.notes,
        ),
        rules={
            name: RuleOut(title=rules[name].title, why=rules[name].why, fix=rules[name].fix.summary)
            for name in sorted(used)
            if name in rules
        },
        targets=[],
    )


def _part(part: Part) -> PartOut:
    return PartOut(
        environment=part.environment,
        owner=part.owner,
        labels=dict(part.labels),
        rules=list(part.rules),
        skipped_rules=list(part.skipped),
    )


def to_json(
    record: RunRecord,
    *,
    rules: Mapping[str, Rule] | None = None,
    first_seen: FirstSeen | None = None,
    owners: Owners | None = None,
) -> str:
    """Write a run as JSON text, ending in a line feed; arguments as of `report_of`."""
    return to_json_bytes(record, rules=rules, first_seen=first_seen, owners=owners).decode()


def to_json_bytes(
    record: RunRecord,
    *,
    rules: Mapping[str, Rule] | None = None,
    first_seen: FirstSeen | None = None,
    owners: Owners | None = None,
) -> bytes:
    """The same in UTF-8."""
    return b"".join(json_pieces(record, rules=rules, first_seen=first_seen, owners=owners))


def json_pieces(
    record: RunRecord,
    *,
    rules: Mapping[str, Rule] | None = None,
    first_seen: FirstSeen | None = None,
    owners: Owners | None = None,
) -> Iterator[bytes]:
    """The same target by target: the models of ten thousand targets, and their text, would take gigabytes."""
    opening, empty, closing = (
        _without_targets(record, rules or {}).model_dump_json(by_alias=True, indent=_INDENT).rpartition("[]")
    )
    if not record.targets:
        yield f"{opening}{empty}{closing}\n".encode()
        return
    yield f"{opening}[".encode()
    margin = "\n" + " " * 2 * _INDENT
    numbers = numbers_of(record)
    for place, target in enumerate(record.targets):
        model = _target(target, record.run.finished_at, first_seen or {}, owners or {}, numbers)
        # No string of JSON holds a line feed, so all that there are stand between lines.
        text = model.model_dump_json(by_alias=True, indent=_INDENT).replace("\n", margin)
        yield f"{',' if place else ''}{margin}{text}".encode()
    yield f"\n{' ' * _INDENT}]{closing}\n".encode()


def from_json(text: str | bytes) -> Report:
    """Read a report of this format.

    Raises:
        pydantic.ValidationError: the text is not one.
    """
    return Report.model_validate_json(text)


def generate_schema() -> dict[str, Any]:
    """Derive the JSON Schema from the models."""
    schema = described(Report.model_json_schema(by_alias=True, mode="serialization"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_URI,
        **schema,
        "title": SCHEMA_ID,
    }


def published_schema() -> dict[str, Any]:
    """Return the JSON Schema that ships with the package."""
    text = (resources.files("reports.export") / "schema" / _SCHEMA_FILE).read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _policy(policy: PolicyRef) -> Policy:
    return Policy(id=policy.id, version=policy.version, title=policy.title, digest=policy.digest)


def _target(
    target: TargetResult, now: datetime, first_seen: FirstSeen, owners: Owners, numbers: FindingNumbers
) -> Target:
    ownership = owners.get(target.endpoint)
    return Target(
        id=target.id,
        environment=target.environment,
        application=target.application,
        applications=list(target.applications),
        host=target.host,
        port=target.port,
        ip=target.ip,
        role=target.role.value,
        implied_by=target.implied_by.value if target.implied_by else None,
        starttls=target.starttls.value if target.starttls else None,
        status=target.status.value,
        error=failure_of(target.error),
        grade=target.grade,
        grading=_grading(target, now),
        duration_s=round(target.duration_s, 3),
        connections=target.connections,
        policy=_policy(target.policy),
        owner=ownership.owner if ownership else None,
        owners=list(ownership.owners) if ownership else [],
        contact=ownership.contact if ownership else None,
        contacts=list(ownership.contacts) if ownership else [],
        labels=dict(ownership.labels) if ownership else {},
        evidence=evidence_document(target.evidence) if target.evidence else None,
        verdicts=[
            _verdict(target, verdict, first_seen, finding)
            for verdict, finding in zip(target.verdicts, numbers.labels(target), strict=True)
        ],
    )


def _grading(target: TargetResult, now: datetime) -> Grading | None:
    found = explained(target, now)
    if found is None:
        return None
    return Grading(
        method=METHOD,
        score=found.score,
        reasons=[reason.text for reason in found.reasons],
        missing=list(found.missing),
    )


def _verdict(target: TargetResult, verdict: Verdict, first_seen: FirstSeen, finding: str) -> VerdictOut:
    waiver = verdict.waiver
    status: Status = verdict.status
    return VerdictOut(
        rule=verdict.rule,
        goal=verdict.goal.value,
        status=status.value,
        severity=verdict.severity.value,
        reason=verdict.reason,
        message=verdict.message,
        subject=verdict.subject,
        observed=verdict.observed,
        expected=verdict.expected,
        sources=list(verdict.sources),
        waiver=WaiverOut(reason=waiver.reason, owner=waiver.owner, expires=waiver.expires) if waiver else None,
        id=finding_id(target, verdict),
        counted_as=verdict.counted_as.value,
        first_seen=first_seen.get((target.endpoint, verdict.rule, verdict.subject)) if status is Status.FAIL else None,
        finding=finding or None,
    )


def counted_as(verdict: VerdictOut) -> CountedAs:
    """As what a verdict is counted, told from what every version of the format says of it."""
    if verdict.status == "fail":
        if verdict.waiver is not None:
            return CountedAs.WAIVED
        return CountedAs.NOTE if verdict.severity == "info" else CountedAs.NOT_MET
    return {
        "pass": CountedAs.MET,
        "indeterminate": CountedAs.NOT_ASSESSED,
        "not-applicable": CountedAs.DOES_NOT_APPLY,
    }[verdict.status]
