"""DefectDojo's Generic Findings Import, in JSON: a finding for each failure, whose id lasts from run to run.

A waived failure is a risk accepted, a note is of severity Info, and what could not be assessed is no finding. The same
thing at two addresses of a name is one finding, which counts and names both.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reports.view.part import part_in_words
from scanner.verdict import RunRecord, Severity, Status, TargetResult, Verdict, finding_id

if TYPE_CHECKING:
    from datetime import datetime

    from scanner.ownership import Ownership
    from scanner.rules import Rule

_Json = dict[str, Any]
_Found = list[tuple[TargetResult, Verdict]]


def to_defectdojo(
    record: RunRecord,
    *,
    rules: Mapping[str, Rule],
    first_seen: Mapping[tuple[str, str, str], datetime] | None = None,
    owners: Mapping[str, Ownership] | None = None,
) -> str:
    """Write a run as DefectDojo's Generic Findings.

    Args:
        record: the run.
        rules: by id; one that is not among them has no words but its verdicts'.
        first_seen: since when something fails, by endpoint, rule and subject: the date of the finding.
        owners: who answers for an endpoint, how they are reached, and its labels: tags of the finding.
    """
    found: dict[str, _Found] = defaultdict(list)
    for target in record.targets:
        for verdict in target.verdicts:
            if verdict.status is Status.FAIL:
                found[finding_id(target, verdict)].append((target, verdict))
    document = {
        "name": f"Nightseal {record.run.policy.id} {record.run.policy.version}",
        "type": "Nightseal",
        "version": record.run.tool_version,
        **({"description": part_in_words(record.run.part)} if record.run.part else {}),
        "dynamic_tool": True,
        "findings": [
            _finding(name, places, record, rules.get(places[0][1].rule), first_seen or {})
            | {"tags": _tags(places[0], (owners or {}).get(places[0][0].endpoint))}
            for name, places in found.items()
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _finding(
    name: str,
    places: _Found,
    record: RunRecord,
    rule: Rule | None,
    first_seen: Mapping[tuple[str, str, str], datetime],
) -> _Json:
    target, verdict = max(places, key=lambda item: (item[1].counts_as_failure, item[1].severity.rank))
    waived = all(item.waiver is not None for _, item in places)
    since = first_seen.get((target.endpoint, verdict.rule, verdict.subject), record.run.started_at)
    title = rule.title if rule else verdict.rule
    subject = f" {verdict.subject}" if verdict.subject else ""
    path = verdict.subject.lstrip("/") if verdict.subject.startswith("/") else ""
    described: _Json = {
        "title": f"{title}: not met at {target.address}{subject}",
        "description": _text(places),
        "severity": _SEVERITIES[verdict.severity],
        "date": since.date().isoformat(),
        "mitigation": rule.fix.summary if rule else "",
        "impact": rule.why if rule else "",
        "references": "\n".join(verdict.sources),
        "unique_id_from_tool": name,
        "vuln_id_from_tool": verdict.rule,
        "service": target.environment,
        "component_name": target.application or "",
        "active": not waived,
        "verified": True,
        "risk_accepted": waived,
        "static_finding": False,
        "dynamic_finding": True,
        "nb_occurences": len(places),
        "endpoints": [{"protocol": _protocol(target), "host": target.host, "port": target.port, "path": path}],
    }
    if waived and verdict.waiver is not None:
        described["severity_justification"] = (
            f"Accepted by {verdict.waiver.owner} until {verdict.waiver.expires}: {verdict.waiver.reason}"
        )
    return {key: value for key, value in described.items() if value != ""}


def _tags(place: tuple[TargetResult, Verdict], whose: Ownership | None) -> list[str]:
    target, verdict = place
    owned = [f"owner:{name}" for name in whose.owners] if whose else []
    owned += [f"contact:{text}" for text in whose.contacts] if whose else []
    labels = [f"{name}:{value}" for name, value in whose.labels] if whose else []
    return [verdict.goal.value, target.environment, *owned, *labels]


def _text(places: _Found) -> str:
    """What was found, for each address where it was, once for all of them that are alike."""
    said: dict[str, list[str]] = defaultdict(list)
    for target, verdict in places:
        parts = [verdict.message]
        parts += [f"Observed: {verdict.observed}"] if verdict.observed else []
        parts += [f"Expected: {verdict.expected}"] if verdict.expected else []
        said["\n".join(parts)].append(target.ip or target.host)
    return "\n\n".join(f"{text}\nAt {', '.join(dict.fromkeys(addresses))}" for text, addresses in said.items())


def _protocol(target: TargetResult) -> str:
    if target.starttls is not None:
        return target.starttls.value
    return "https" if target.role.speaks_http else "tls"


_SEVERITIES = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
    Severity.INFO: "Info",
}
