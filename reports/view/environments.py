"""How each environment stands towards the three protections and their enforcement, and the sentence on page one."""

from __future__ import annotations

from collections import defaultdict

from reports.language import listed
from reports.view.index import Index, anchor_of, tally, unique
from reports.view.model import EnvironmentView
from reports.view.standing import Standing, Tally
from reports.wording import SEVERITIES, counted
from scanner.verdict import Goal, Run, TargetResult, TargetStatus, Trigger, Verdict

_TWO = 2


def environments_of(index: Index) -> tuple[EnvironmentView, ...]:
    """Every environment of the run, in the run's order; those that it scanned nothing of are there too."""
    run = index.record.run
    members: dict[str, list[TargetResult]] = {name: [] for name in run.environments}
    for target in index.record.targets:
        members.setdefault(target.environment, []).append(target)
    taken: set[str] = set()
    return tuple(_environment(run, name, targets, taken) for name, targets in members.items())


def _environment(run: Run, name: str, targets: list[TargetResult], taken: set[str]) -> EnvironmentView:
    by_goal: dict[Goal, list[Verdict]] = defaultdict(list)
    for target in targets:
        for verdict in target.verdicts:
            by_goal[verdict.goal].append(verdict)
    statuses = [target.status for target in targets]
    return EnvironmentView(
        name=name,
        anchor=unique(anchor_of("e", name), taken),
        kind=next((target.environment_kind for target in targets), None),
        policy=targets[0].policy if targets else run.policies.get(name, run.policy),
        targets=len(targets),
        unreachable=statuses.count(TargetStatus.UNREACHABLE),
        partial=statuses.count(TargetStatus.PARTIAL),
        goals={goal: tally(by_goal[goal]) for goal in Goal},
        total=tally(verdict for target in targets for verdict in target.verdicts),
    )


def standing_of(run: Run, environments: tuple[EnvironmentView, ...], total: Tally) -> Standing:
    """How the whole run reads. A run that was interrupted, or saw nothing, is never compliant."""
    if not environments or not any(environment.targets for environment in environments):
        return Standing.EMPTY
    standing = total.standing
    unfinished = not run.complete or any(environment.standing is Standing.EMPTY for environment in environments)
    return Standing.UNKNOWN if unfinished and standing is not Standing.FAILED else standing


def headline_of(run: Run, environments: tuple[EnvironmentView, ...], standing: Standing, total: Tally) -> str:
    """The answer, in one or two sentences."""
    if standing is Standing.EMPTY:
        return "Nothing was scanned, so nothing can be said."
    failed = tuple(item.name for item in environments if item.standing is Standing.FAILED)
    unknown = tuple(item.name for item in environments if item.standing in {Standing.UNKNOWN, Standing.EMPTY})
    number = len(environments)
    if standing is Standing.FAILED:
        if number == 1:
            worst = f", the worst {SEVERITIES[total.worst].lower()}" if total.worst else ""
            # Ad hoc, the environment is a name that nobody gave.
            who = "Not" if run.trigger is Trigger.AD_HOC else f"{failed[0]} is not"
            sentence = f"{who} compliant: {counted(total.failed, 'failure')}{worst}."
        elif len(failed) == number == _TWO:
            sentence = "Neither environment is compliant."
        elif len(failed) == number:
            sentence = f"None of the {number} environments is compliant."
        else:
            verb = "is" if len(failed) == 1 else "are"
            sentence = f"{len(failed)} of {number} environments {verb} not compliant: {listed(failed)}."
        if unknown:
            sentence += f" {listed(unknown)} could not be fully assessed."
    elif standing is Standing.UNKNOWN:
        sentence = "Nothing failed, but not everything could be assessed"
        sentence += f": {listed(unknown)}." if unknown and number > 1 else "."
    elif standing is Standing.WAIVED:
        sentence = f"Compliant, with {counted(total.waived, 'accepted failure')}."
    else:
        sentence = "Compliant." if number == 1 else f"All {number} environments are compliant."
    return sentence if run.complete else f"{sentence} The run was interrupted before its end."
