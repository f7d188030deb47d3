"""JSON, format `nightseal.report/1`: the outer form of a run, apart from the types that Nightseal uses inside.

The models below are the format. Its JSON Schema is checked in beside this module (`schema/nightseal.report-1.json`) and
a test holds the two together. New keys may be added within `/1`, so a reader ignores those that it does not know;
a key that changes its meaning or goes away makes a `/2`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reports.export.json_evidence import Evidence, FailureOut, evidence_document, failure_of
from scanner.grade import METHOD, explained
from scanner.inventory import Ownership
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

SCHEMA_ID = "nightseal.report/1"
SCHEMA_URI = "urn:nightseal:report:1"
"""A name by RFC 8141; that of the schema, not an address from which it could be fetched."""
_INDENT = 2
TOOL_NAME = "nightseal"
_SCHEMA_FILE = "nightseal.report-1.json"

StatusName = Literal["pass", "fail", "not-applicable", "indeterminate"]
SeverityName = Literal["info", "low", "medium", "high", "critical"]
GoalName = Literal["encryption", "integrity", "authenticity", "enforcement"]
CountedName = Literal["not-met", "note", "waived", "not-assessed", "met", "does-not-apply"]


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, populate_by_name=True)


class Tool(_Out):
    """The program that made the report."""

    name: str
    version: str


class Policy(_Out):
    """The policy that judged."""

    id: str
    version: str
    title: str
    digest: str
    """SHA-256 of everything in the policy that can change a verdict; empty where it is not known."""


class AbsentDomainOut(_Out):
    """A host name of a platform at which nobody answers, while its other one does: no target, and not assessed."""

    environment: str
    host: str
    port: int
    named_by: Literal["default_domain", "custom_domain"]
    """The key of the environment that names it."""
    error: FailureOut


class Run(_Out):
    """One execution over a set of targets."""

    id: str
    """Sorts by time."""
    trigger: Literal["ad-hoc", "schedule", "manual"]
    started_at: datetime
    finished_at: datetime
    policy: Policy
    complete: bool
    """False where the run was interrupted before every target was done."""
    expected_targets: int
    """How many targets a complete run would have had."""
    schedule: str | None
    environments: list[str]
    policies: dict[str, Policy]
    """Environments that are judged by a policy of their own."""
    config_digest: str
    trust_stores: dict[str, str]
    """Each trust store and the SHA-256 over its certificates."""
    engines: dict[str, str]
    """Each library that observed and its version."""
    absent_domains: list[AbsentDomainOut] = []


class Summary(_Out):
    """Counts of targets and of verdicts. `fail` is the sum of `not_met`, `notes` and `waived`."""

    targets: int
    assessed: int
    pass_: int = Field(alias="pass")
    fail: int
    not_applicable: int
    indeterminate: int
    waived: int
    """Fails that a waiver accepts."""
    not_met: int | None = None
    """Fails of severity low and above that no waiver accepts. Null in reports older than this count."""
    notes: int | None = None
    """Fails of severity info that no waiver accepts: they inform, and stand against nothing."""


class WaiverOut(_Out):
    """Why a failure is accepted, by whom, and until when."""

    reason: str
    owner: str
    expires: date


class VerdictOut(_Out):
    """The evidence of a target judged by one rule. A waived verdict stays `fail`."""

    rule: str
    goal: GoalName
    status: StatusName
    severity: SeverityName
    reason: str
    """A stable slug."""
    message: str
    subject: str
    """The part of the target that is spoken of (a path, a certificate); empty where it is the whole target."""
    observed: str
    expected: str
    sources: list[str]
    waiver: WaiverOut | None
    id: str = ""
    """The same from run to run for one rule and subject at one environment, host and port, whatever the address."""
    counted_as: CountedName | None = None
    """As what it is counted in every report."""
    first_seen: datetime | None = None
    """Since when it fails without a break, as far as the history knows; null where it does not fail or none is kept."""


class RuleOut(_Out):
    """A rule that gave a verdict, in words."""

    title: str
    """What it demands."""
    why: str
    """What it protects from."""
    fix: str
    """How it is mended."""


class Grading(_Out):
    """How the grade came about. It is no part of compliance."""

    method: str
    """Whose method it is, and which version."""
    score: int | None
    """0 to 100, of protocols, key exchange and cipher suites together, before any cap; null where one is unknown."""
    reasons: list[str]
    """What lowered or decided it, the gravest first."""
    missing: list[str]
    """What was not observed, where there is no grade for that reason."""


class Target(_Out):
    """One endpoint at one IP address."""

    id: str
    environment: str
    application: str | None
    """The application, or all of them joined by commas where several share the endpoint."""
    applications: list[str]
    host: str
    port: int
    ip: str | None
    role: Literal["application", "development", "monitoring", "server"]
    implied_by: Literal["default_domain", "custom_domain"] | None = None
    """The key of the environment that names the host; null where an endpoint or application does."""
    starttls: str | None
    status: Literal["assessed", "partial", "unreachable"]
    error: FailureOut | None
    grade: str | None
    """A+, A, A-, B, C, D, E, F, T (not trusted) or M (another name); null where it could not be determined."""
    grading: Grading | None = None
    """Null where the evidence is no longer kept."""
    duration_s: float
    connections: int
    policy: Policy
    owner: str | None = None
    """Who answers for it, where somebody is named."""
    contact: str | None = None
    """How they are reached."""
    labels: dict[str, str] = {}
    """What the configuration says of it besides, such as a tier."""
    evidence: Evidence | None
    verdicts: list[VerdictOut]


class Report(_Out):
    """A whole run."""

    schema_: Literal["nightseal.report/1"] = Field(alias="schema")
    tool: Tool
    run: Run
    summary: Summary
    rules: dict[str, RuleOut] = {}
    """The rules that gave a verdict, by id."""
    targets: list[Target]


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
    targets = [_target(target, now, first_seen or {}, owners or {}) for target in record.targets]
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
    """The same in UTF-8.

    It is written target by target, each encoded at once: the models of ten thousand targets, and their text as Python
    keeps it, would take gigabytes.
    """
    opening, empty, closing = (
        _without_targets(record, rules or {}).model_dump_json(by_alias=True, indent=_INDENT).rpartition("[]")
    )
    if not record.targets:
        return f"{opening}{empty}{closing}\n".encode()
    margin = "\n" + " " * 2 * _INDENT
    # No string of JSON holds a line feed, so all that there are stand between lines.
    targets = (
        _target(target, record.run.finished_at, first_seen or {}, owners or {})
        .model_dump_json(by_alias=True, indent=_INDENT)
        .replace("\n", margin)
        for target in record.targets
    )
    parts = [f"{margin}{target},".encode() for target in targets]
    parts[-1] = parts[-1].removesuffix(b",")
    return b"".join((f"{opening}[".encode(), *parts, f"\n{' ' * _INDENT}]{closing}\n".encode()))


def from_json(text: str | bytes) -> Report:
    """Read a report of this format.

    Raises:
        pydantic.ValidationError: the text is not one.
    """
    return Report.model_validate_json(text)


def generate_schema() -> dict[str, Any]:
    """Derive the JSON Schema from the models."""
    schema = Report.model_json_schema(by_alias=True, mode="serialization")
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


def _target(target: TargetResult, now: datetime, first_seen: FirstSeen, owners: Owners) -> Target:
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
        contact=ownership.contact if ownership else None,
        labels=dict(ownership.labels) if ownership else {},
        evidence=evidence_document(target.evidence) if target.evidence else None,
        verdicts=[_verdict(target, verdict, first_seen) for verdict in target.verdicts],
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


def _verdict(target: TargetResult, verdict: Verdict, first_seen: FirstSeen) -> VerdictOut:
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
