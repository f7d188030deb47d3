"""SARIF 2.1.0 (OASIS): failures and what could not be assessed, for the tools that collect findings.

A result's fingerprint is made of target, rule, reason and subject, so it stays the same from run to run as long as the
same thing is wrong. What could not be assessed has the kind `open`: the specification's word for exactly that.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from reports.wording import FAILURES, server_heading
from scanner.evidence import FailureReason
from scanner.verdict import RunRecord, Severity, Status, TargetResult, TargetStatus, Trigger, Verdict, finding_id

if TYPE_CHECKING:
    from scanner.ownership import Ownership
    from scanner.rules import Rule

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT: Final = "nightseal/v1"
LINE_HASH: Final = "primaryLocationLineHash"
"""The one fingerprint that GitHub looks at; what it hashes elsewhere, a line of code, no server has."""
_LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_SCORES: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
    Severity.INFO: "0.0",
}
"""`security-severity`, the property by which code hosting sites rank: a point inside each band of CVSS."""

_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

_Json = dict[str, Any]


def to_sarif(record: RunRecord, *, rules: Mapping[str, Rule], owners: Mapping[str, Ownership] | None = None) -> str:
    """Write a run as a SARIF log.

    `rules` are by id; one that is not among them is described only by its id. `owners` say who answers for an endpoint.

    Each environment is a run of the log with a category of its own (`automationDetails`): a log that is uploaded for
    one environment closes no alert of another.
    """
    names = dict.fromkeys(target.environment for target in record.targets) or {"": None}
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            _run(record, [target for target in record.targets if target.environment == name], name, rules, owners or {})
            for name in names
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _run(
    record: RunRecord,
    targets: list[TargetResult],
    environment: str,
    rules: Mapping[str, Rule],
    owners: Mapping[str, Ownership],
) -> _Json:
    run = record.run
    verdicts = [verdict for target in targets for verdict in target.verdicts if _is_reported(verdict)]
    used = dict.fromkeys((verdict.rule, verdict.severity) for verdict in verdicts)
    order = {key: number for number, key in enumerate(used)}
    return {
        "tool": {
            "driver": {
                "name": "Nightseal",
                "version": run.tool_version,
                "rules": [_rule(rule_id, severity, rules.get(rule_id)) for rule_id, severity in used],
            }
        },
        "automationDetails": {"id": f"nightseal/{_category(record, targets, environment)}/{run.id}"},
        "invocations": [
            {
                "executionSuccessful": run.complete,
                "startTimeUtc": _time(run.started_at),
                "endTimeUtc": _time(run.finished_at),
                "toolExecutionNotifications": [
                    _notification(target) for target in targets if target.status is TargetStatus.UNREACHABLE
                ],
            }
        ],
        "results": [
            _owned(
                _result(target, verdict, order[verdict.rule, verdict.severity], rules.get(verdict.rule)),
                owners.get(target.endpoint),
            )
            for target in targets
            if target.status is not TargetStatus.UNREACHABLE
            for verdict in target.verdicts
            if _is_reported(verdict)
        ],
        "properties": {
            "policy": run.policy.id,
            "policyVersion": run.policy.version,
            **({"vantage": dataclasses.asdict(run.vantage)} if run.vantage else {}),
            **({"part": dataclasses.asdict(run.part)} if run.part else {}),
        },
    }


def _owned(result: _Json, whose: Ownership | None) -> _Json:
    """A result with who answers for its place, how they are reached, and the labels there."""
    if whose is not None and whose.owners:
        result["properties"]["owners"] = list(whose.owners)
    if whose is not None and whose.contacts:
        result["properties"]["contacts"] = list(whose.contacts)
    if whose is not None and whose.labels:
        result["properties"]["labels"] = dict(whose.labels)
    return result


def _category(record: RunRecord, targets: Sequence[TargetResult], environment: str) -> str:
    """What tells the alerts of one scope from others': the environment; of what is scanned ad hoc, the endpoints."""
    if record.run.trigger is not Trigger.AD_HOC:
        return quote(environment, safe="") or "none"
    endpoints = sorted({target.endpoint for target in targets})
    return f"ad-hoc-{hashlib.sha256(json.dumps(endpoints).encode()).hexdigest()[:12]}"


def _is_reported(verdict: Verdict) -> bool:
    return verdict.status in {Status.FAIL, Status.INDETERMINATE}


def _rule_id(rule_id: str, severity: Severity, rule: Rule | None) -> str:
    """A rule by its id, and by its severity too where a policy or a verdict makes it another than the rule's own.

    Receivers rank by what the rule says, not the result, so a rule of another severity is another rule to them.
    """
    return rule_id if rule is None or severity is rule.severity else f"{rule_id}/{severity.value}"


def _rule(rule_id: str, severity: Severity, rule: Rule | None) -> _Json:
    properties: _Json = {"security-severity": _SCORES[severity], "precision": "very-high"}
    described: _Json = {
        "id": _rule_id(rule_id, severity, rule),
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": properties,
    }
    if rule is None:
        return described
    url = next((source.url for source in rule.sources if source.url), None)
    properties["tags"] = list(dict.fromkeys(("security", rule.goal.value, rule.area)))
    described |= {
        "name": "".join(part.capitalize() for part in rule.id.replace(".", "-").split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": "\n\n".join(_help(rule)), "markdown": "\n\n".join(_help(rule, markdown=True))},
    }
    return described | ({"helpUri": url} if url else {})


def _help(rule: Rule, *, markdown: bool = False) -> Iterator[str]:
    yield rule.fix.summary
    for key, text in rule.fix.servers.items():
        name = server_heading(key, rule.id)
        yield f"**{name}**\n\n```\n{text}\n```" if markdown else f"{name}:\n{text}"
    yield f"How it is observed: {rule.how}"
    yield "Sources: " + "; ".join(
        f"[{source}]({source.url})" if markdown and source.url else str(source) for source in rule.sources
    )


def _result(target: TargetResult, verdict: Verdict, number: int, rule: Rule | None) -> _Json:
    fails = verdict.status is Status.FAIL
    key = "\n".join((target.id, verdict.rule, verdict.reason if fails else "", verdict.subject))
    result: _Json = {
        "ruleId": _rule_id(verdict.rule, verdict.severity, rule),
        "ruleIndex": number,
        "kind": "fail" if fails else "open",
        "level": _LEVELS[verdict.severity] if fails else "none",
        "message": {"text": verdict.message},
        "locations": [_location(target, verdict.subject)],
        "partialFingerprints": {
            FINGERPRINT: hashlib.sha256(key.encode()).hexdigest(),
            LINE_HASH: f"{finding_id(target, verdict)}:1",
        },
        "properties": {
            "severity": verdict.severity.value,
            "security-severity": _SCORES[verdict.severity],
            "reason": verdict.reason,
            "observed": verdict.observed,
            "expected": verdict.expected,
            "sources": list(verdict.sources),
        },
    }
    if verdict.waiver is not None:
        waiver = verdict.waiver
        result["suppressions"] = [
            {
                "kind": "external",
                "status": "accepted",
                "justification": waiver.reason,
                "properties": {"owner": waiver.owner, "expires": waiver.expires.isoformat()},
            }
        ]
    return result


def _location(target: TargetResult, subject: str = "") -> _Json:
    """Where something was found, as code hosting sites take it: a relative path and a line.

    A server has neither: the path is environment, host, port and path of the URL, and the line is always the first.
    """
    path = subject if subject.startswith("/") else ""
    parts = (target.environment, target.host, str(target.port))
    place = "/".join(quote(part, safe="") for part in parts)
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": f"{place}{_uri_path(path)}"},
            "region": {"startLine": 1},
        },
        "logicalLocations": [{"fullyQualifiedName": target.id, "name": target.address, "kind": "resource"}],
    }


def _uri_path(path: str) -> str:
    """A path as a URI may hold it: what is escaped already stays so, a stray percent sign is escaped."""
    return quote(_STRAY_PERCENT.sub("%25", path), safe="/?&=:@!$'()*+,;-._~%")


def _notification(target: TargetResult) -> _Json:
    reason = FAILURES[target.error.reason if target.error else FailureReason.NOT_RUN]
    return {
        "level": "warning",
        "message": {"text": f"{target.address} could not be assessed: {reason}."},
        "locations": [_location(target)],
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
