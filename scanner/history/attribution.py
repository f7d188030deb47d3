"""Why a verdict is another than it was: the server, its addresses, the policy, the configuration, the tool, the date.

A rule is judged from one part of the evidence. Where that part differs, the server has changed; where it does not, what
else differs between the two runs is named, the likeliest first. Two things can make the same server look different, and
are told apart: another version of the tool, which sees more, and another trust store.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from scanner.evidence import FailureReason
from scanner.history.facts import Facts, deployments_of, digest, facts_of
from scanner.history.waived import is_another
from scanner.verdict import RunRecord, Status, TargetResult, TargetStatus, Verdict

_NOT_LOOKED_AT: Final = frozenset(
    {
        FailureReason.NOT_RUN,
        FailureReason.UNSUPPORTED,
        FailureReason.ENGINE_ERROR,
        FailureReason.PROXY_UNREACHABLE,
    }
)
OURS: Final = frozenset(
    {
        FailureReason.RESOLVER_FAILED, FailureReason.UNREACHABLE, FailureReason.DEADLINE, FailureReason.NO_WORKER,
        FailureReason.ENGINE_ERROR, FailureReason.INTERRUPTED, FailureReason.NOT_RUN, FailureReason.PROXY_UNREACHABLE,
    }
)  # fmt: skip
"""Reasons that lie with the scanner, or between it and the server: nothing is known of that."""
AWAY: Final = timedelta(days=7)
"""So long after an address was last looked at, what failed there ends: the name has other addresses."""
_PROBE_KEYS = ("scheme", "path", "purpose", "identity", "application")


class ChangeCause(StrEnum):
    """What a change comes from.

    SERVER: the observation is different. ADDRESSES: what failed was at an address that the later run did not look at,
    as the name has others. NETWORK: the scanner's resolver, route, proxy, worker or time limit prevented the check.
    POLICY: another policy, or another version of it, was applied. CONFIGURATION: other targets, paths, trust stores or
    waivers. TOOL: another version of Nightseal or of its engines. TIME: only the date is different; a certificate came
    closer to its end, or a waiver reached its own.
    """

    SERVER = "server"
    ADDRESSES = "addresses"
    NETWORK = "network"
    POLICY = "policy"
    CONFIGURATION = "configuration"
    TOOL = "tool"
    TIME = "time"


class Attribution:
    """Compares two runs."""

    def __init__(self, before: RunRecord, after: RunRecord) -> None:
        self._before, self._after = before, after
        first, second = before.run, after.run
        self._new_configuration = first.config_digest != second.config_digest
        # By what is in them: the same roots in another file are the same store.
        self._new_trust = sorted(first.trust_stores.values()) != sorted(second.trust_stores.values())
        self._new_tool = (first.tool_version, dict(first.engines)) != (second.tool_version, dict(second.engines))
        self._endpoints = _by_endpoint(before), _by_endpoint(after)
        self._users = _certificate_users(before), _certificate_users(after)
        self._facts: dict[int, Facts] = {}

    def of_verdict(
        self, rule: str, before: tuple[TargetResult, Verdict | None], after: tuple[TargetResult, Verdict | None]
    ) -> ChangeCause:
        """Why the verdicts of a rule on one target, or the lack of one, differ."""
        if any(_kept_from_looking(*side) for side in (before, after)):
            return ChangeCause.NETWORK
        return self._of_seen(rule, before, after)

    def _of_seen(
        self, rule: str, before: tuple[TargetResult, Verdict | None], after: tuple[TargetResult, Verdict | None]
    ) -> ChangeCause:
        target_before, target_after = before[0], after[0]
        if target_before.policy.digest != target_after.policy.digest and _judges(rule, before[0]) != _judges(
            rule, after[0]
        ):
            # Whatever else changed: one of the policies does not judge it at all.
            return ChangeCause.POLICY
        changed = self._changed(rule, before, after)
        if changed is not None:
            return changed
        if target_before.policy.digest != target_after.policy.digest:
            return ChangeCause.POLICY
        if self._new_configuration or self._new_trust:
            return ChangeCause.CONFIGURATION
        if self._new_tool:
            return ChangeCause.TOOL
        return ChangeCause.SERVER if self._surroundings_changed(target_before, target_after) else ChangeCause.TIME

    def of_address(
        self, rule: str, before: tuple[TargetResult, Verdict | None], after: tuple[TargetResult, Verdict | None]
    ) -> ChangeCause:
        """Why what a rule says of one address differs, whatever it says in the two runs."""
        first, second = before[1], after[1]
        if any(verdict is not None and verdict.not_asked for verdict in (first, second)):
            return ChangeCause.CONFIGURATION
        if first is not None and second is not None and first.status is second.status is Status.FAIL:
            return self.of_failures(rule, (before[0], first), (after[0], second))
        return self.of_verdict(rule, before, after)

    def of_failures(
        self, rule: str, before: tuple[TargetResult, Verdict], after: tuple[TargetResult, Verdict]
    ) -> ChangeCause:
        """Why a failure of both runs weighs more or less, or is waived in one of them and not in the other."""
        first, second = before[1], after[1]
        if (first.waiver is None) == (second.waiver is None):
            same = (first.reason, first.subject, first.observed) == (second.reason, second.subject, second.observed)
            if same and first.severity != second.severity and before[0].policy.digest != after[0].policy.digest:
                # The very same was found, and another policy weighs it; what else was seen has no part in that.
                return ChangeCause.POLICY
            return self.of_verdict(rule, before, after)
        lapsed = first.waiver if second.waiver is None else None
        if lapsed is not None and lapsed.expires < self._after.run.started_at.date():
            return ChangeCause.TIME
        if is_another(first, second):
            # What fails is more than a waiver accepts, or no longer more.
            return self.of_verdict(rule, before, after)
        return ChangeCause.CONFIGURATION

    def of_presence(self, target: TargetResult) -> ChangeCause:
        """Why a target is in one run and not in the other: its name has another address, or it was configured."""
        return (
            ChangeCause.SERVER
            if all(target.endpoint in endpoints for endpoints in self._endpoints)
            else ChangeCause.CONFIGURATION
        )

    def _changed(
        self, rule: str, before: tuple[TargetResult, Verdict | None], after: tuple[TargetResult, Verdict | None]
    ) -> ChangeCause | None:
        """SERVER or TOOL where what the rule is judged from differs, else None."""
        first, second = before[0], after[0]
        if first.evidence is None or second.evidence is None:
            if _failure(first) != _failure(second):
                return ChangeCause.SERVER
            # Evidence is not kept for ever; what the verdicts quote of it is.
            quoted = [verdict.observed for _, verdict in (before, after) if verdict is not None]
            return ChangeCause.SERVER if len(set(quoted)) > 1 else None
        seen = [self._relevant(rule, target) for target in (first, second)]
        if self._new_configuration:
            seen = _of_common_probes(*seen)
        if seen[0] == seen[1]:
            return None
        if self._new_tool:
            common = _looked_at_twice(*seen)
            return ChangeCause.SERVER if common[0] != common[1] else ChangeCause.TOOL
        return ChangeCause.SERVER

    def _relevant(self, rule: str, target: TargetResult) -> Facts:
        """The part of the evidence that a rule of this area is judged from."""
        facts = self._facts_of(target)
        tls = facts.get("tls", {})
        observed = tls.get("value", {})
        match rule.split(".", 1)[0]:
            case "cert":
                deployments = observed.get("certificates", {})
                part = _without(deployments, "paths") if self._new_trust else deployments
            case "https":
                part = {"http": facts.get("http"), "client": observed.get("client_authentication")}
            case "dns":
                part = facts.get("dns")
            case _:
                part = {name: value for name, value in observed.items() if name != "certificates"}
        return {"failure": tls.get("failure"), "part": part}

    def _facts_of(self, target: TargetResult) -> Facts:
        if id(target) not in self._facts:
            self._facts[id(target)] = facts_of(target.evidence_json)
        return self._facts[id(target)]

    def _surroundings_changed(self, before: TargetResult, after: TargetResult) -> bool:
        """Whether the other addresses of the name, or the other users of the certificate, are not what they were."""
        # By what they answer, whichever addresses they are: a name that moves takes its answers along.
        others = [
            {digest(self._facts_of(target)) for target in endpoints[before.endpoint]} for endpoints in self._endpoints
        ]
        users = [
            {user for deployment in deployments_of(target) for user in known[deployment.leaf.fingerprint]}
            for target, known in zip((before, after), self._users, strict=True)
        ]
        return others[0] != others[1] or users[0] != users[1]


def cause_of_silence(reason: FailureReason | None) -> ChangeCause:
    """What it comes from that nothing was observed for a reason."""
    return ChangeCause.NETWORK if reason in OURS else ChangeCause.SERVER


def _kept_from_looking(target: TargetResult, verdict: Verdict | None) -> bool:
    """Whether it is not the server that left a verdict unknown."""
    if target.status is TargetStatus.UNREACHABLE and target.error is not None:
        return target.error.reason in OURS
    return verdict is not None and verdict.status is Status.INDETERMINATE and verdict.reason in OURS


def _judges(rule: str, target: TargetResult) -> bool:
    return any(verdict.rule == rule for verdict in target.verdicts)


def _failure(target: TargetResult) -> str | None:
    return target.error.reason.value if target.error else None


def _by_endpoint(record: RunRecord) -> dict[str, list[TargetResult]]:
    endpoints = defaultdict(list)
    for target in record.targets:
        endpoints[target.endpoint].append(target)
    return dict(endpoints)


def _certificate_users(record: RunRecord) -> dict[str, set[str]]:
    users = defaultdict(set)
    for target in record.targets:
        for deployment in deployments_of(target):
            users[deployment.leaf.fingerprint].add(target.environment)
    return dict(users)


def _without(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, name) for key, item in value.items() if key != name}
    return [_without(item, name) for item in value] if isinstance(value, list) else value


def _of_common_probes(first: Facts, second: Facts) -> list[Facts]:
    """The same facts with those HTTP probes alone that both runs were configured to make."""

    def probes(facts: Facts) -> dict[str, Any]:
        part = facts["part"]
        http = part.get("http") if isinstance(part, dict) else None
        made = ((http or {}).get("value") or {}).get("probes", ())
        return {str([probe.get(key) for key in _PROBE_KEYS]): probe for probe in made}

    made = probes(first), probes(second)
    if not all(made):
        return [first, second]
    common = made[0].keys() & made[1].keys()
    return [
        {**facts, "part": {**facts["part"], "http": {key: of_run[key] for key in sorted(common)}}}
        for facts, of_run in zip((first, second), made, strict=True)
    ]


def _looked_at_twice(first: Any, second: Any) -> tuple[Any, Any]:
    """Both sides without the attempts that one of them did not make or could not yet make."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return first, second
    names = [name for name in first if name in second and not (_missing(first[name]) or _missing(second[name]))]
    pairs = {name: _looked_at_twice(first[name], second[name]) for name in names}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def _missing(attempt: Any) -> bool:
    failure = attempt.get("failure") if isinstance(attempt, dict) else None
    return isinstance(failure, dict) and failure.get("reason") in _NOT_LOOKED_AT
