"""Yesterday's evidence judged by another policy, or as of another day: no network, no writing.

What comes out differently is told apart by its cause. The same evidence under two policies differs by the *policy*;
two nights under one policy, judged as of one moment, differ by the *server*; one night under one policy as of two
moments differs by the *date*. Each comparison changes one of them and keeps the others.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, structs

from scanner.evaluate import evaluate
from scanner.grade import grade
from scanner.history.attribution import ChangeCause
from scanner.history.balance import Balance
from scanner.history.diff import diff
from scanner.history.run_diff import RunDiff
from scanner.replay.recorded import NOT_RECORDED, evidence_is_gone, recorded
from scanner.verdict import Counts, Run, RunRecord, count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from scanner.inventory import Inventory
    from scanner.policy import Policy
    from scanner.verdict import TargetResult, Verdict
    from scanner.waiver import Waiver

__all__ = ["NOT_RECORDED", "Judge", "JudgedRun", "Replay", "replay"]

MOMENTARY: Final = frozenset({"cert.must-staple", "cert.revocation", "cert.revocation-service", "cert.stapled"})
"""Rules about what is renewed every few days: only the moment at which it was seen says anything about it."""


_CAUSED: Final = ("new_failures", "fixed", "became_indeterminate", "newly_waived", "no_longer_judged")
"""The lists of a comparison whose items name a cause."""


class JudgedRun(Struct, frozen=True):
    """A stored run, as it was judged then and as the other policy judges it, both at the time of the run.

    `without_evidence` counts targets that cannot be judged again, since their evidence is no longer kept.
    """

    run: Run
    then: Counts
    now: Counts
    without_evidence: int = 0


class Replay(Struct, frozen=True):
    """Runs over the same environments, judged by another policy.

    `runs` are the oldest first; the last of them is what is looked at closely. `record` is that run as `policy` judges
    it as of `as_of`. `by_rules` tells what differs because Nightseal's own rules are others than those that judged
    then, and is None where the policy of then is no longer at hand to tell. `by_policy` tells what differs because the
    policy does, `by_server` what differs from the first run to the last under the policy of today, None with one run;
    `by_date` what differs by `as_of`, None where no day was given.
    """

    policy: Policy
    as_of: datetime
    runs: tuple[JudgedRun, ...]
    record: RunRecord
    by_rules: RunDiff | None
    by_policy: RunDiff
    by_server: RunDiff | None
    by_date: RunDiff | None

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that the runs scanned."""
        return self.record.run.environments

    @property
    def not_recorded(self) -> int:
        """How many verdicts could not be given, because the settings that they rest on were not recorded."""
        return sum(verdict.reason == NOT_RECORDED for verdict in self.record.verdicts)


class Judge(Struct, frozen=True):
    """What stored runs are judged by: a policy, and what the configuration at hand knows of them.

    `inventory_of` gives the configuration's inventory for the digest of a run's configuration, or None where the run
    was made with another one.
    """

    policy: Policy
    waivers: Sequence[Waiver]
    inventory_of: Callable[[str], Inventory | None]

    def __call__(self, record: RunRecord, moment: datetime, policy: Policy | None = None) -> RunRecord:
        """The record as the policy judges it as of `moment`. Targets without evidence are left out."""
        policy = policy or self.policy
        stored = recorded(record, self.inventory_of(record.run.config_digest))
        policies = dict.fromkeys(stored.environments, policy)
        verdicts = evaluate(stored.observed, stored.environments, policies, self.waivers, moment)
        if moment != record.run.finished_at:
            seen = evaluate(stored.observed, stored.environments, policies, self.waivers, record.run.finished_at)
            verdicts = {name: _momentary(judged, seen[name]) for name, judged in verdicts.items()}
        targets = tuple(
            dataclasses.replace(
                target,
                policy=policy.ref,
                grade=_grade(target, moment),
                verdicts=tuple(stored.judgeable(target.id, verdict) for verdict in verdicts[target.id]),
            )
            for target in record.targets
            if target.id not in stored.without_evidence
        )
        return RunRecord(dataclasses.replace(record.run, policy=policy.ref, policies={}), targets)


def replay(
    runs: Iterable[RunRecord], judge: Judge, *, known: Mapping[str, Policy], as_of: datetime | None = None
) -> Replay:
    """Judge stored runs over the same environments again.

    Args:
        runs: at least one, the oldest first; each is read once, so they may be loaded one by one.
        judge: the policy, and the configuration at hand.
        known: policies by digest, among which those that judged then are looked for.
        as_of: the moment as of which the last run is judged; its own time by default.

    Raises:
        PolicyError: the policy names a rule or a parameter that does not exist.
        ValueError: there is no run.
    """
    judged: list[JudgedRun] = []
    first: RunRecord | None = None
    last: RunRecord | None = None
    for stored in runs:
        first = first or stored
        last = stored
        again = judge(stored, stored.run.finished_at)
        lost = len(stored.targets) - len(again.targets)
        judged.append(JudgedRun(stored.run, count(stored.verdicts), count(again.verdicts), lost))
    if first is None or last is None:
        message = "there is no run to judge"
        raise ValueError(message)
    own_time = last.run.finished_at
    then = _with_evidence(last)
    by_then = _as_then(last, judge, known)
    at_its_time = judge(last, own_time)
    final = judge(last, as_of) if as_of else at_its_time
    return Replay(
        policy=judge.policy,
        as_of=as_of or own_time,
        runs=tuple(judged),
        record=final,
        by_rules=_caused(diff(then, by_then), ChangeCause.TOOL) if by_then else None,
        by_policy=diff(by_then or then, at_its_time),
        by_server=diff(judge(first, own_time), at_its_time) if first is not last else None,
        by_date=_caused(diff(at_its_time, final), ChangeCause.TIME) if as_of else None,
    )


def _caused(change: RunDiff, cause: ChangeCause) -> RunDiff:
    """The comparison with the one cause that it was made to have; the two records cannot tell it from others."""
    lists: dict[str, Any] = {
        name: tuple(structs.replace(found, cause=cause) for found in getattr(change, name)) for name in _CAUSED
    }
    more, fewer = sum(found.more for found in change.balances), sum(found.fewer for found in change.balances)
    lists["balances"] = (Balance(cause, more, fewer),) if more or fewer else ()
    return structs.replace(change, **lists)


def _momentary(judged: tuple[Verdict, ...], seen: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The verdicts, those about what is renewed all the time as of when it was seen."""
    rules = dict.fromkeys(verdict.rule for verdict in judged)
    chosen = ((rule, seen if rule in MOMENTARY else judged) for rule in rules)
    return tuple(verdict for rule, verdicts in chosen for verdict in verdicts if verdict.rule == rule)


def _grade(target: TargetResult, moment: datetime) -> str | None:
    """The grade as of a moment; the one that was given, where the evidence is no longer kept."""
    if target.evidence is None:
        return target.grade
    return grade(target.evidence, target.host, target.port, target.role, moment).letter


def _with_evidence(record: RunRecord) -> RunRecord:
    return RunRecord(record.run, tuple(target for target in record.targets if not evidence_is_gone(target)))


def _as_then(record: RunRecord, judge: Judge, known: Mapping[str, Policy]) -> RunRecord | None:
    """The run judged again by the policies that judged it then; None where one of them is no longer at hand."""
    digests = {target.policy.digest for target in record.targets}
    if not digests <= known.keys():
        return None
    by_digest = {digest: judge(record, record.run.finished_at, known[digest]) for digest in digests}
    again = {(digest, target.id): target for digest, judged in by_digest.items() for target in judged.targets}
    found = (again.get((target.policy.digest, target.id)) for target in record.targets)
    return RunRecord(record.run, tuple(target for target in found if target is not None))
