"""OSCAL 1.2.3 assessment results (NIST), for governance tools: a result for each environment.

| OSCAL | here |
|---|---|
| control | a rule of the policy; its id is the rule's |
| finding | a rule in an environment: `satisfied` only where all that was judged is met and known |
| observation | the targets of an environment at which a rule came out in the same way, for the same reason |
| risk | what failed: `open`, or `deviation-approved` where every such failure is waived |
| inventory item | a target |

OSCAL knows two states only, so a finding that could not be assessed is `not-satisfied`, with the reason `other` and a
remark: unknown is never compliant. OSCAL's prose is Markdown; whatever comes from a host is escaped there. Every id is
made from what it names, so the same run gives the same bytes.
"""

from __future__ import annotations

import ipaddress
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from reports.export.json.streamed import Lazy, json_pieces_of, not_empty
from reports.export.oscal_catalogue import catalogue_resource, policy_resource
from reports.export.oscal_words import NAMESPACE_URI, OSCAL_VERSION, Json, lasting, prop, prose, string, time_of, token
from reports.view.part import part_in_words
from reports.wording import FAILURES
from scanner.counting import counted
from scanner.verdict import CountedAs, RunRecord, Status, TargetResult, TargetStatus, Verdict

if TYPE_CHECKING:
    from scanner.rules import Rule

_Found = tuple[TargetResult, Verdict]
_Key = tuple[Status, str]
"""How a rule came out, and why."""


def to_oscal(record: RunRecord, *, rules: Mapping[str, Rule]) -> str:
    """Write a run as OSCAL assessment results in JSON. `rules` are by id."""
    return b"".join(oscal_pieces(record, rules=rules)).decode()


def oscal_pieces(record: RunRecord, *, rules: Mapping[str, Rule]) -> Iterator[bytes]:
    """The same piece by piece, in UTF-8: no more than one observation is in memory."""
    yield from json_pieces_of(Lazy({"assessment-results": _Document(record, rules).assessment_results()}))
    yield b"\n"


class _Document:
    def __init__(self, record: RunRecord, rules: Mapping[str, Rule]) -> None:
        self._record = record
        self._run = record.run
        self._rules = rules
        self._targets = {target.id: lasting("target", target.id) for target in record.targets}

    def assessment_results(self) -> Lazy:
        run = self._run
        plan = lasting("plan", run.policy.id, run.policy.digest or run.policy.version)
        catalogue = catalogue_resource(self._record, self._rules)
        names = dict.fromkeys((*run.environments, *(target.environment for target in self._record.targets)))
        document: Json = {
            "uuid": self._id("document"),
            "metadata": {
                "title": f"HTTPS compliance, run {run.id}",
                "last-modified": time_of(run.finished_at),
                "version": run.id,
                "oscal-version": OSCAL_VERSION,
                **({"remarks": part_in_words(run.part)} if run.part else {}),
                "props": [
                    prop("run-complete", str(run.complete).lower()),
                    *([prop("part", part_in_words(run.part))] if run.part else []),
                    *([prop("configuration-sha256", run.config_digest)] if run.config_digest else []),
                    *(prop("engine", f"{name} {version}") for name, version in sorted(run.engines.items())),
                ],
                "links": [{"href": f"#{item}", "rel": "reference"} for item in (plan, catalogue["uuid"])],
            },
            "import-ap": {
                "href": f"#{plan}",
                "remarks": "There is no assessment plan apart from the policy: it says what is assessed.",
            },
            "results": (self._result(name) for name in names or ("none",)),
            "back-matter": {"resources": [policy_resource(run, plan), catalogue]},
        }
        return Lazy(document)

    def _id(self, *names: str) -> str:
        """The id of what is of this run alone, or of a part of it."""
        return lasting(self._run.id, *([str(self._run.part)] if self._run.part else []), *names)

    def _result(self, environment: str) -> Lazy:
        run = self._run
        targets = [target for target in self._record.targets if target.environment == environment]
        grouped = _grouped(targets)
        result: Json = {
            "uuid": self._id("result", environment),
            "title": prose(f"Environment {environment}"),
            "description": prose(_coverage(targets)),
            "start": time_of(run.started_at),
            "end": time_of(run.finished_at),
            "local-definitions": self._local_definitions(environment, targets),
            "reviewed-controls": {"control-selections": [_selection(sorted(grouped))]},
        }
        observations = (
            self._observation(environment, rule, key, found)
            for rule, groups in grouped.items()
            for key, found in groups.items()
        )
        risks = (
            self._risk(environment, rule, key, found)
            for rule, groups in grouped.items()
            for key, found in groups.items()
            if key[0] is Status.FAIL
        )
        findings = (
            self._finding(environment, rule, groups)
            for rule, groups in grouped.items()
            if any(status is not Status.NOT_APPLICABLE for status, _ in groups)
        )
        parts = {"observations": observations, "risks": risks, "findings": findings}
        return Lazy(result | {name: some for name, items in parts.items() if (some := not_empty(items))})

    def _local_definitions(self, environment: str, targets: Sequence[TargetResult]) -> Lazy:
        tool = lasting("tool", environment)
        component = {
            "uuid": tool,
            "type": "software",
            "title": "Nightseal",
            "description": "Scans servers over the network and judges what they do by a policy.",
            "props": [{"name": "version", "value": string(self._run.tool_version)}],
            "status": {"state": "operational"},
        }
        platform = {
            "uuid": lasting("platform", environment),
            "title": "Network",
            "uses-components": [{"component-uuid": tool}],
        }
        items = not_empty(
            {
                "uuid": self._targets[target.id],
                "description": prose(f"{target.address}, {target.role.value}"),
                "props": list(_target_props(target)),
            }
            for target in targets
        )
        assets = {"assessment-assets": {"components": [component], "assessment-platforms": [platform]}}
        return Lazy(({"inventory-items": items} if items else {}) | assets)

    def _observation(self, environment: str, rule: str, key: _Key, found: Sequence[_Found]) -> Lazy:
        status, reason = key
        started = self._run.started_at
        subjects = dict.fromkeys(self._targets[target.id] for target, _ in found)
        described: Json = {
            "uuid": self._id("observation", environment, rule, status, reason),
            "title": prose(f"{rule}: {status}, {reason}"),
            "description": prose(_sentence(found)),
            "props": [prop("rule", rule), prop("status", status), prop("reason", reason)],
            "methods": ["TEST"],
            "types": ["finding" if status in {Status.FAIL, Status.INDETERMINATE} else "control-objective"],
            "origins": [self._origin(environment)],
            "subjects": ({"subject-uuid": item, "type": "inventory-item"} for item in subjects),
            "collected": time_of(started),
        }
        if status in {Status.FAIL, Status.INDETERMINATE}:
            described["relevant-evidence"] = (_evidence(target, verdict) for target, verdict in found)
        return Lazy(described)

    def _risk(self, environment: str, rule: str, key: _Key, found: Sequence[_Found]) -> Json:
        waived = [verdict for _, verdict in found if verdict.waiver is not None]
        severity = max(verdict.severity for _, verdict in found)
        about = self._rules.get(rule)
        described: Json = {
            "uuid": lasting("risk", environment, rule, key[1]),
            "title": prose(f"{about.title if about else rule}: {key[1]}"),
            "description": prose(_sentence(found)),
            "statement": prose(about.why if about else f"The requirement {rule} is not met."),
            "props": [
                prop("waiver", f"{item.reason}; {item.owner}; until {item.expires}")
                for item in dict.fromkeys(verdict.waiver for verdict in waived if verdict.waiver)
            ],
            "status": "deviation-approved" if len(waived) == len(found) else "open",
            "characterizations": [
                {
                    "origin": self._origin(environment),
                    "facets": [{"name": "severity", "system": NAMESPACE_URI, "value": severity.value}],
                }
            ],
            "remediations": [self._remediation(environment, rule, key[1], about)] if about else [],
            "related-observations": [{"observation-uuid": self._id("observation", environment, rule, key[0], key[1])}],
        }
        return {name: value for name, value in described.items() if value != []}

    def _remediation(self, environment: str, rule: str, reason: str, about: Rule) -> Json:
        return {
            "uuid": lasting("remediation", environment, rule, reason),
            "lifecycle": "recommendation",
            "title": "How to fix it",
            "description": prose(about.fix.summary),
        }

    def _finding(self, environment: str, rule: str, groups: Mapping[_Key, Sequence[_Found]]) -> Json:
        verdicts = [verdict for found in groups.values() for _, verdict in found]
        about = self._rules.get(rule)
        failing = [key for key in groups if key[0] is Status.FAIL]
        return {
            "uuid": lasting("finding", environment, rule),
            "title": prose(about.title if about else rule),
            "description": prose(_counted(verdicts)),
            "target": {"type": "objective-id", "target-id": token(rule), "status": _state(verdicts)},
            "related-observations": [
                {"observation-uuid": self._id("observation", environment, rule, *key)} for key in groups
            ],
        } | (
            {"related-risks": [{"risk-uuid": lasting("risk", environment, rule, reason)} for _, reason in failing]}
            if failing
            else {}
        )

    def _origin(self, environment: str) -> Json:
        return {"actors": [{"type": "tool", "actor-uuid": lasting("tool", environment)}]}


class _Group(Sequence[_Found]):
    """Verdicts of one kind, each as its place in its target: as pairs they would take as much as what they point to."""

    def __init__(self, targets: Sequence[TargetResult]) -> None:
        self._targets = targets
        self._places = array("L")

    def add(self, target: int, verdict: int) -> None:
        """Add the verdict of that number of the target of that number."""
        self._places.extend((target, verdict))

    def __len__(self) -> int:
        return len(self._places) // 2

    @overload
    def __getitem__(self, place: int) -> _Found: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[_Found]: ...
    def __getitem__(self, place: int | slice) -> _Found | Sequence[_Found]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        target = self._targets[self._places[2 * range(len(self))[place]]]
        return target, target.verdicts[self._places[2 * range(len(self))[place] + 1]]


def _grouped(targets: Sequence[TargetResult]) -> dict[str, dict[_Key, _Group]]:
    """Where each rule came out how and why, in the order in which that is first found."""
    groups: dict[str, dict[_Key, _Group]] = {}
    for number, target in enumerate(targets):
        for place, verdict in enumerate(target.verdicts):
            of_rule = groups.setdefault(verdict.rule, {})
            key = verdict.status, verdict.reason
            if key not in of_rule:
                of_rule[key] = _Group(targets)
            of_rule[key].add(number, place)
    return groups


def _state(verdicts: Sequence[Verdict]) -> Json:
    """Satisfied only where something was judged, nothing failed that no waiver accepts, and nothing is unknown."""
    if any(verdict.counted_as is CountedAs.NOT_MET for verdict in verdicts):
        return {"state": "not-satisfied", "reason": "fail"}
    if any(verdict.status is Status.INDETERMINATE for verdict in verdicts):
        return {
            "state": "not-satisfied",
            "reason": "other",
            "remarks": "It could not be assessed everywhere, so it is not known to be satisfied.",
        }
    if any(verdict.waiver is not None for verdict in verdicts):
        return {
            "state": "not-satisfied",
            "reason": "other",
            "remarks": "Every failure is accepted by a waiver: see the risks.",
        }
    if any(verdict.counted_as is CountedAs.NOTE for verdict in verdicts):
        return {
            "state": "satisfied",
            "reason": "pass",
            "remarks": "Additional recommendations are not met: see the risks.",
        }
    return {"state": "satisfied", "reason": "pass"}


def _selection(rules: Sequence[str]) -> Json:
    if not rules:  # the schema wants one or the other, and of no controls there is no list
        return {"description": "Every rule of the policy; nothing was there to be judged.", "include-all": {}}
    return {"include-controls": [{"control-id": token(rule)} for rule in rules]}


def _target_props(target: TargetResult) -> Iterator[Json]:
    yield prop("target", target.id)
    yield prop("role", target.role.value)
    yield prop("status", target.status.value)
    yield prop("port", str(target.port))
    for application in target.applications:
        yield prop("application", application)
    if target.error is not None:
        yield prop("not-observed", FAILURES[target.error.reason])
    if target.ip is not None:
        version = ipaddress.ip_address(target.ip.partition("%")[0]).version
        yield {"name": f"ipv{version}-address", "value": string(target.ip)}
    if target.host != target.ip:
        yield {"name": "fqdn", "value": string(target.host)}


def _evidence(target: TargetResult, verdict: Verdict) -> Json:
    values = {
        "target": target.id,
        "subject": verdict.subject,
        "severity": verdict.severity.value,
        "observed": verdict.observed,
        "expected": verdict.expected,
        "waived-by": verdict.waiver.owner if verdict.waiver else "",
    }
    return {
        "description": prose(verdict.message),
        "props": [prop(name, value) for name, value in values.items() if value.strip()],
    }


def _coverage(targets: Sequence[TargetResult]) -> str:
    counts = {status: sum(target.status is status for target in targets) for status in TargetStatus}
    told = ", ".join(f"{number} {status.value}" for status, number in counts.items())
    return f"{counted(len(targets), 'target')}: {told}."


def _sentence(found: Sequence[_Found]) -> str:
    """What was found; where it differs from target to target, the first, and how many more there are."""
    messages = list(dict.fromkeys(verdict.message for _, verdict in found))
    more = f" (and {len(messages) - 1} more, in the evidence)" if len(messages) > 1 else ""
    return f"{messages[0]}{more}"


def _counted(verdicts: Sequence[Verdict]) -> str:
    counts = {status: sum(verdict.status is status for verdict in verdicts) for status in Status}
    told = ", ".join(f"{number} {status.value}" for status, number in counts.items() if number)
    waived = sum(verdict.waiver is not None for verdict in verdicts)
    return f"{told}{f' ({waived} waived)' if waived else ''}."
