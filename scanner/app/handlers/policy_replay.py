"""`nightseal policy replay P`: the history's evidence under another policy, or as of another day, without network."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner import policy as policies
from scanner.app.reading import config_to_read
from scanner.counting import counted
from scanner.errors import PolicyError, UsageError
from scanner.history import History
from scanner.jobs.destinations import put
from scanner.jobs.policies import load_policy
from scanner.replay import Judge, replay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scanner.config.loading import Config
    from scanner.history.run_diff import RunDiff, StillFailing, VerdictChange
    from scanner.inventory import Inventory
    from scanner.policy import Policy
    from scanner.replay import Replay
    from scanner.verdict import Counts, Verdict


SCHEMA = "nightseal.replay/1"


_SHOWN = 3


"""Targets that are named of each change."""


_LISTS = (
    ("new failures", "new_failures"),
    ("became indeterminate", "became_indeterminate"),
    ("no longer failing", "fixed"),
    ("newly waived", "newly_waived"),
    ("no longer judged", "no_longer_judged"),
)


def policy_replay(  # noqa: PLR0913, PLR0917  # one for each option
    name: str,
    config_path: Path,
    since: datetime | None,
    as_of: datetime | None,
    format_name: str,
    output: str | None,
) -> None:
    """Judge the history's evidence by another policy, without network."""
    config = config_to_read(config_path)
    policy = load_policy(name)
    replays = replays_of(config, policy, _day(since), _moment(as_of))
    text = json.dumps(as_json(replays), indent=2) if format_name == "json" else "\n".join(describe(replays))
    if output in {None, "-"}:
        click.echo(text)
    else:
        put(Path(str(output)), f"{text}\n".encode())


def replays_of(config: Config, policy: Policy, since: datetime | None, as_of: datetime | None) -> list[Replay]:
    """One replay for each set of environments that runs of the history scanned, since a day or the last run alone.

    Raises:
        HistoryError: there is no history.
        UsageError: there is no run (since that day).
    """
    history = History.open(config.resolve(config.form.nightseal.history), create=False)

    def inventory_of(digest: str) -> Inventory | None:
        return config.inventory if digest == config.digest else None

    judge = Judge(policy, config.waivers, inventory_of)
    known = _known_policies(config, policy)
    series = _series(history, since)
    if not series:
        raise UsageError("the history has no run" + (f" since {since:%Y-%m-%d}" if since else ""))
    return [
        replay(
            (history.record(run_id) for run_id in (run_ids if since else run_ids[-1:])), judge, known=known, as_of=as_of
        )
        for run_ids in series
    ]


def _series(history: History, since: datetime | None) -> list[list[str]]:
    """The complete runs by the set of environments that they scanned, the oldest first in each."""
    rows = history.runs(columns=["run_id", "environments", "complete", "started_at"])
    series: dict[frozenset[str], list[str]] = defaultdict(list)
    columns = (rows[name].tolist() for name in ("run_id", "environments", "complete", "started_at"))
    for run_id, environments, complete, started_at in zip(*columns, strict=True):
        if complete and (since is None or started_at >= since):
            series[frozenset(environments)].append(str(run_id))
    return sorted(series.values(), key=lambda run_ids: run_ids[-1])


def _known_policies(config: Config, policy: Policy) -> dict[str, Policy]:
    """By digest: those that ship, and those that the configuration names."""
    environments = config.inventory.environments
    named = {config.form.nightseal.policy, *(item.policy for item in environments if item.policy)}
    found = {policy.digest: policy}
    for name in (*policies.builtin_names(), *named):
        try:
            loaded = load_policy(name, base=config.folder)
        except PolicyError:  # it judged once and is gone: what it said then stands in the history
            continue
        found[loaded.digest] = loaded
    return found


def _day(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value else None


def _moment(value: datetime | None) -> datetime | None:
    """The end of a day, in UTC: what ends on that day has ended by then."""
    return datetime.combine(value.date(), time.max, UTC) if value else None


def describe(replays: Sequence[Replay]) -> Iterator[str]:
    """The replays in lines."""
    for number, item in enumerate(replays):
        if number:
            yield ""
        yield from _described(item)


def _described(item: Replay) -> Iterator[str]:
    policy, last = item.policy, item.runs[-1]
    yield f"{policy.title} ({policy.id} {policy.version}) on {', '.join(item.environments)}"
    for judged in item.runs:
        then, now = judged.then, judged.now
        yield (
            f"  {judged.run.id}: {then.not_met} not met by {judged.run.policy.id}, {now.not_met} by {policy.id}"
            f"; not assessed {then.indeterminate}, {now.indeterminate}"
        )
        if judged.without_evidence:
            yield f"    {counted(judged.without_evidence, 'target')} left out: their evidence is no longer kept"
    if item.not_recorded:
        yield (
            f"  {counted(item.not_recorded, 'verdict')} could not be given: "
            "the configuration is not the one of that run, and the history does not keep what it demanded"
        )
    yield from _section(f"Because Nightseal's rules have changed since {last.run.id}", item.by_rules, quiet=True)
    yield from _section("Because the policy is a different one (same evidence, same time)", item.by_policy)
    if item.by_server:
        title = f"Because the servers changed, from {item.runs[0].run.id} to {last.run.id} (same policy, same time)"
        yield from _section(title, item.by_server, causes=True)
    yield from _section(f"By {item.as_of:%Y-%m-%d}, if nothing is done (same evidence, same policy)", item.by_date)


def _section(title: str, change: RunDiff | None, *, quiet: bool = False, causes: bool = False) -> Iterator[str]:
    """What a comparison found, grouped by rule. `quiet` says nothing where nothing differs."""
    if change is None or (quiet and not _differs(change)):
        return
    yield f"\n{title}"
    if not _differs(change):
        yield "  nothing"
    for words, attribute in _LISTS:
        groups: dict[tuple[str, str, str], list[VerdictChange]] = defaultdict(list)
        for item in getattr(change, attribute):
            cause = f"  [{item.cause}]" if causes and item.cause.value != "server" else ""
            groups[item.rule, item.verdict.severity.value, cause].append(item)
        if groups:
            yield f"  {words}"
        for (rule, severity, cause), items in groups.items():
            yield f"    {severity:<8} {rule:<34} {_places([item.target.id for item in items])}{cause}"
            if attribute == "new_failures":
                yield f"             {items[0].verdict.message}"
    regraded = _regraded(change)
    if regraded:
        yield "  of another severity"
    for (rule, old, new), still in regraded.items():
        yield f"    {f'{old} → {new}':<19} {rule:<34} {_places([item.target.id for item in still])}"


def _differs(change: RunDiff) -> bool:
    return any(getattr(change, attribute) for _, attribute in _LISTS) or bool(_regraded(change))


def _regraded(change: RunDiff) -> dict[tuple[str, str, str], list[StillFailing]]:
    groups: dict[tuple[str, str, str], list[StillFailing]] = defaultdict(list)
    for item in change.still_failing:
        if item.before.severity is not item.after.severity:
            groups[item.after.rule, item.before.severity.value, item.after.severity.value].append(item)
    return groups


def _places(targets: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(targets))
    rest = len(distinct) - _SHOWN
    return ", ".join(distinct[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def as_json(replays: Sequence[Replay]) -> dict[str, Any]:
    """The replays for other programs."""
    return {"schema": SCHEMA, "replays": [_replay_json(item) for item in replays]}


def _replay_json(item: Replay) -> dict[str, Any]:
    policy = item.policy
    return {
        "policy": {"id": policy.id, "version": policy.version, "digest": policy.digest},
        "environments": list(item.environments),
        "as_of": item.as_of.isoformat(),
        "not_recorded": item.not_recorded,
        "runs": [
            {
                "id": judged.run.id,
                "policy": judged.run.policy.id,
                "then": _counts_json(judged.then),
                "now": _counts_json(judged.now),
                "without_evidence": judged.without_evidence,
            }
            for judged in item.runs
        ],
        "by_rules": _diff_json(item.by_rules),
        "by_policy": _diff_json(item.by_policy),
        "by_server": _diff_json(item.by_server),
        "by_date": _diff_json(item.by_date),
        "failures": [
            {"target": target.id, **_verdict_json(verdict)}
            for target in item.record.targets
            for verdict in target.verdicts
            if verdict.counts_as_failure
        ],
    }


def _counts_json(counts: Counts) -> dict[str, int]:
    return {
        "pass": counts.passed,
        "fail": counts.failed,
        "not_met": counts.not_met,
        "notes": counts.notes,
        "not_applicable": counts.not_applicable,
        "indeterminate": counts.indeterminate,
        "waived": counts.waived,
    }


def _diff_json(change: RunDiff | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return {
        attribute: [
            {
                "target": item.target.id,
                "cause": item.cause.value,
                "before": item.before.status.value if item.before else None,
                **_verdict_json(item.verdict),
            }
            for item in getattr(change, attribute)
        ]
        for _, attribute in _LISTS
    } | {
        "other_severity": [
            {"target": item.target.id, "before": item.before.severity.value, **_verdict_json(item.after)}
            for items in _regraded(change).values()
            for item in items
        ]
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "subject": verdict.subject,
        "status": verdict.status.value,
        "severity": verdict.severity.value,
        "reason": verdict.reason,
        "message": verdict.message,
        "sources": list(verdict.sources),
    }
