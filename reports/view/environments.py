"""How each environment stands towards the three protections and their enforcement, and the sentence on page one."""

from __future__ import annotations

from collections import defaultdict

from reports.language import gettext, listed, ngettext, number
from reports.view.index import Index, anchor_of, tally, unique
from reports.view.standing import Standing, Tally
from reports.view.target_model import EnvironmentView
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
        return gettext("Nothing was scanned, so nothing can be said.")
    unknown = tuple(item.name for item in environments if item.standing in {Standing.UNKNOWN, Standing.EMPTY})
    several = len(environments) > 1
    if standing is Standing.FAILED:
        sentence = _failed(run, environments, total)
        if unknown:
            sentence += " " + gettext("%(names)s could not be fully assessed.") % {"names": listed(unknown)}
    elif standing is Standing.UNKNOWN:
        sentence = gettext("Nothing failed, but not everything could be assessed.")
        if unknown and several:
            names = {"names": listed(unknown)}
            sentence = gettext("Nothing failed, but not everything could be assessed: %(names)s.") % names
    elif standing is Standing.WAIVED:
        failures = counted(total.waived, "accepted failure")
        sentence = gettext("Compliant, with %(failures)s.") % {"failures": failures}
    elif several:
        sentence = gettext("All %(number)s environments are compliant.") % {"number": number(len(environments))}
    else:
        sentence = gettext("Compliant.")
    return sentence if run.complete else f"{sentence} {gettext('The run was interrupted before its end.')}"


def _failed(run: Run, environments: tuple[EnvironmentView, ...], total: Tally) -> str:
    """Which environments are not compliant, in a sentence."""
    failed = tuple(item.name for item in environments if item.standing is Standing.FAILED)
    if len(environments) == 1:
        failures = counted(total.failed, "failure")
        if total.worst:
            worst = {"failures": failures, "severity": SEVERITIES[total.worst].lower()}
            failures = gettext("%(failures)s, the worst %(severity)s") % worst
        # Ad hoc, the environment is a name that nobody gave.
        if run.trigger is Trigger.AD_HOC:
            return gettext("Not compliant: %(failures)s.") % {"failures": failures}
        return gettext("%(name)s is not compliant: %(failures)s.") % {"name": failed[0], "failures": failures}
    if len(failed) == len(environments):
        if len(failed) == _TWO:
            return gettext("Neither environment is compliant.")
        return gettext("None of the %(number)s environments is compliant.") % {"number": number(len(failed))}
    return ngettext(
        "%(failed)s of %(number)s environments is not compliant: %(names)s.",
        "%(failed)s of %(number)s environments are not compliant: %(names)s.",
        len(failed),
    ) % {"failed": number(len(failed)), "number": number(len(environments)), "names": listed(failed)}
