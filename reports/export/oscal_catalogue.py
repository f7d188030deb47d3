"""What travels with OSCAL assessment results: the policy that judged, and its rules as a catalog."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from reports.export.oscal_words import OSCAL_VERSION, Json, lasting, prop, prose, string, time_of, token
from scanner.verdict import Run, RunRecord

if TYPE_CHECKING:
    from scanner.rules import Rule


def policy_resource(run: Run, ref: str) -> Json:
    """The policy, which stands where OSCAL wants an assessment plan."""
    policy = run.policy
    title = f"Policy {policy.id} {policy.version}"
    props = [prop("policy-id", policy.id), prop("policy-version", policy.version)]
    if policy.digest:
        props.append(prop("policy-sha256", policy.digest))
    for environment, other in sorted(run.policies.items()):
        props.append(prop("policy-of-environment", f"{environment}: {other.id} {other.version}"))
    return {
        "uuid": ref,
        "title": prose(title),
        "description": prose(policy.title or title),
        "props": props,
        "rlinks": [{"href": f"{quote(policy.id)}.toml"}],
    }


def catalogue_resource(record: RunRecord, rules: Mapping[str, Rule]) -> Json:
    """The rules that were judged, as an OSCAL catalog inside: what control ids and objectives here mean."""
    used = sorted({verdict.rule for verdict in record.verdicts})
    policy = record.run.policy
    name = (policy.id, policy.digest or policy.version)
    catalog: dict[str, Json] = {
        "catalog": {
            "uuid": lasting("catalog", *name, *used),
            "metadata": {
                "title": prose(policy.title or policy.id),
                "last-modified": time_of(record.run.finished_at),
                "version": string(policy.version),
                "oscal-version": OSCAL_VERSION,
            },
        }
    }
    controls = [_control(rule, rules.get(rule)) for rule in used]
    if controls:
        catalog["catalog"]["controls"] = controls
    text = json.dumps(catalog, ensure_ascii=False, separators=(",", ":")).encode()
    return {
        "uuid": lasting("catalog-resource", *name, *used),
        "title": "The rules of the policy, as an OSCAL catalog",
        "base64": {
            "filename": token(f"{policy.id}.oscal-catalog.json"),
            "media-type": "application/oscal+json",
            "value": base64.b64encode(text).decode(),
        },
    }


def _control(rule_id: str, rule: Rule | None) -> Json:
    """A rule as a control, with an objective of the same name, which findings are about."""
    control: Json = {"id": token(rule_id), "title": prose(rule.title if rule else rule_id)}
    if rule is None:
        return control
    parts = [
        {"id": f"{token(rule_id)}_smt", "name": "statement", "prose": prose(rule.title)},
        {"id": f"{token(rule_id)}_gdn", "name": "guidance", "prose": prose(rule.why)},
        {"id": f"{token(rule_id)}_obj", "name": "assessment-objective", "prose": prose(rule.how)},
    ]
    return control | {"props": [prop("goal", rule.goal.value)], "parts": parts}
