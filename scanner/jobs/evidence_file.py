"""All that a run was judged from, in one file, so that a third party can judge it again: `nightseal.evidence/1`.

It holds the evidence whole, the endpoints with their settings, the text of the policies, the waivers, and the verdicts
that were given. Neither the history nor the configuration nor a network is needed to judge it. What no rule reads is
left out: paths of client certificates and whom to contact.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

from scanner.coverage import named_in_certificates
from scanner.errors import UsageError
from scanner.evaluate import evaluate
from scanner.evidence import TargetEvidence
from scanner.inventory import Endpoint, Environment, Inventory, Target
from scanner.ownership import Ownership
from scanner.policy import Policy, digest_of
from scanner.replay.recorded import recorded
from scanner.rules import Observed
from scanner.untrusted import printable
from scanner.verdict import Status, Verdict
from scanner.waiver import Waiver, scope_of

if TYPE_CHECKING:
    from scanner.jobs.output import Rendering
    from scanner.verdict import TargetResult

SCHEMA: Final = "nightseal.evidence/1"
_AT_FIRST: Final = frozenset({"inventory.expected-count"})
"""Rules that judge an environment as a whole, at the first of its endpoints."""


@dataclass(frozen=True, slots=True)
class JudgedTarget:
    """A target with what was seen there and the verdicts that were given.

    `not_judgeable` are rules that rest on settings which were not at hand when the file was written.
    """

    target: Target
    evidence: TargetEvidence
    verdicts: tuple[Verdict, ...]
    not_judgeable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A run as it can be judged again. `policies` are by environment; `lost` are ids of targets without evidence."""

    schema: Literal["nightseal.evidence/1"]
    run_id: str
    judged_at: datetime
    tool_version: str
    environments: Mapping[str, Environment]
    policies: Mapping[str, Policy]
    waivers: tuple[Waiver, ...]
    targets: tuple[JudgedTarget, ...]
    lost: tuple[str, ...] = ()


class VerdictDifference(Struct, frozen=True):
    """A verdict that came out otherwise; None where there is none on that side."""

    target: str
    rule: str
    subject: str
    then: Verdict | None
    now: Verdict | None


class Rejudgement(Struct, frozen=True):
    """What judging again gave: how many verdicts were compared, and those that differ."""

    compared: int
    not_judgeable: int
    differences: tuple[VerdictDifference, ...] = ()


def to_evidence_file(rendering: Rendering) -> bytes:
    """Write what a run was judged from. Targets whose policy is no longer at hand are left out, and said to be lost."""
    return b"".join(evidence_pieces(rendering))


def evidence_pieces(rendering: Rendering) -> Iterator[bytes]:
    """The same target by target."""
    record, run = rendering.record, rendering.record.run
    environments = rendering.environments
    known = recorded(record, Inventory(tuple(environments)) if environments is not None else None)
    by_digest = {policy.digest: policy for policy in rendering.policies}
    policies = {
        target.environment: by_digest[target.policy.digest]
        for target in record.targets
        if target.policy.digest in by_digest
    }
    results = {target.id: target for target in record.targets}
    is_part = run.part is not None and run.part.by_endpoint
    there = {(target.environment, target.host, target.port) for target in record.targets}
    # What else is configured is nobody's business in a part of the run.
    endpoints = {
        name: tuple(
            endpoint for endpoint in item.endpoints if not is_part or (name, endpoint.host, endpoint.port) in there
        )
        for name, item in known.environments.items()
    }
    not_judged_here = {name: _not_judged(item, endpoints[name]) for name, item in known.environments.items()}
    judged = [
        JudgedTarget(
            dataclasses.replace(item.target, endpoint=_bare(item.target.endpoint)),
            item.evidence,
            results[item.target.id].verdicts,
            tuple(
                sorted(
                    known.unconfigured.get(item.target.id, frozenset())
                    | not_judged_here[item.target.endpoint.environment]
                )
            ),
        )
        for item in known.observed
        if item.target.endpoint.environment in policies
    ]
    kept = {item.target.id for item in judged}
    # Hosts of other environments are nobody's business here, unless a certificate names them anyway.
    seen: dict[str, set[str]] = defaultdict(set)
    for item in judged:
        seen[item.target.endpoint.environment] |= {item.target.endpoint.host, *named_in_certificates(item.evidence)}
    file = EvidenceFile(
        schema=SCHEMA,
        run_id=run.id,
        judged_at=run.finished_at,
        tool_version=run.tool_version,
        environments={
            name: dataclasses.replace(
                item,
                endpoints=tuple(map(_bare, endpoints[name])),
                ownership=Ownership(),
                known_hosts=item.known_hosts if item.known_hosts is None else item.known_hosts & seen[name],
            )
            for name, item in known.environments.items()
            if name in policies
        },
        policies=policies,
        waivers=tuple(item for item in rendering.waivers if not is_part or _is_about(item, record.targets)),
        targets=(),
        lost=tuple(sorted(results.keys() - kept)),
    )
    # A quotation mark inside of a string is escaped, and after the targets there are only names.
    opening, empty, closing = _FORM.dump_json(file, exclude_defaults=True).rpartition(b'"targets":[]')
    yield opening + empty.removesuffix(b"]")
    for place, item in enumerate(judged):
        yield b"," * bool(place) + _TARGET_FORM.dump_json(item, exclude_defaults=True)
    yield b"]" + closing


def _not_judged(environment: Environment, kept: Sequence[Endpoint]) -> frozenset[str]:
    """What can't be judged where only some endpoints of an environment are kept: what is judged at its first one."""
    return frozenset() if tuple(kept[:1]) == environment.endpoints[:1] else _AT_FIRST


def _is_about(waiver: Waiver, targets: Sequence[TargetResult]) -> bool:
    scope = scope_of(waiver.scope)
    return any(scope.covers(item.environment, item.host, item.port) for item in targets)


def read_evidence_file(data: bytes) -> EvidenceFile:
    """Read what `to_evidence_file` wrote.

    Raises:
        UsageError: it is none, or a policy in it is not the one that its digest is of.
    """
    try:
        file = _FORM.validate_json(data)
    except ValidationError as error:
        if b'"nightseal.report/' in data[:200]:
            raise UsageError(
                f"not {SCHEMA} but a report, which has verdicts, and neither all the evidence nor the policy that they "
                "came from: replay the PDF of the run, or what nightseal report --format evidence writes"
            ) from error
        raise UsageError(f"not {SCHEMA}: {error.error_count()} errors") from error
    for policy in file.policies.values():
        if digest_of(policy) != policy.digest:
            raise UsageError(f"the text of policy {printable(policy.id)} does not match its SHA-256")
    return file


def judge_again(file: EvidenceFile, policy: Policy | None = None) -> Rejudgement:
    """Judge the evidence by the policies that travel with it, or by another, and compare verdict by verdict.

    Raises:
        PolicyError: a policy names a rule or a parameter that does not exist here.
    """
    observed = [Observed(item.target, item.evidence) for item in file.targets]
    policies = dict.fromkeys(file.environments, policy) if policy else dict(file.policies)
    found = evaluate(observed, file.environments, policies, file.waivers, file.judged_at)
    compared = left = 0
    differences: list[VerdictDifference] = []
    for item in file.targets:
        # What nobody asked is no question of the evidence.
        out = {*item.not_judgeable} | {verdict.rule for verdict in item.verdicts if verdict.not_asked}
        left += sum(verdict.rule in item.not_judgeable for verdict in item.verdicts)
        then = {(one.rule, one.subject): one for one in item.verdicts if one.rule not in out}
        now = {(one.rule, one.subject): one for one in found[item.target.id] if one.rule not in out}
        compared += len(then)
        differences += _differences(item.target.id, then, now)
    return Rejudgement(compared, left, tuple(differences))


def _differences(
    target: str, then: Mapping[tuple[str, str], Verdict], now: Mapping[tuple[str, str], Verdict]
) -> Iterator[VerdictDifference]:
    for rule, subject in dict.fromkeys((*then, *now)):
        before, after = then.get((rule, subject)), now.get((rule, subject))
        if before is None or after is None or _outcome(before) != _outcome(after):
            yield VerdictDifference(target, rule, subject, before, after)


def _outcome(verdict: Verdict) -> tuple[Status, str, str, bool]:
    """What makes a verdict; its severity only where it fails, its words never: later versions may say it better."""
    severity = verdict.severity.value if verdict.status is Status.FAIL else ""
    return verdict.status, verdict.reason, severity, verdict.waiver is not None


def _bare(endpoint: Endpoint) -> Endpoint:
    """An endpoint without what no rule reads, and no third party needs to know."""
    applications = tuple(
        dataclasses.replace(item, client_certificate=None, ownership=Ownership()) for item in endpoint.applications
    )
    return dataclasses.replace(endpoint, applications=applications, ownership=Ownership())


_FORM: Final = TypeAdapter(EvidenceFile)
_TARGET_FORM: Final = TypeAdapter(JudgedTarget)
