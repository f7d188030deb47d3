"""Assembles the view of a run from its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from reports.language import gettext, language_of, speaking
from reports.view.actions import FirstSeen, actions_of
from reports.view.causes import causes_of, remedies_of
from reports.view.certificates import certificates_of
from reports.view.changes import changes_of
from reports.view.clauses import policies_of
from reports.view.clients import clients_of
from reports.view.coverage import gaps_of, looked_from, unasked_of, unreachables_of
from reports.view.enforcement import matrices_of
from reports.view.environments import environments_of, headline_of, standing_of
from reports.view.history import HistoryAnswers, history_of, seen_first
from reports.view.index import Index, tally
from reports.view.model import Changes, FailureCause, ReportView, TrendPoint
from reports.view.options import ReportOptions
from reports.view.readable import readable, readable_waivers
from reports.view.servers import chosen_servers, guessed_servers
from reports.view.targets import targets_of
from reports.view.trend import trend_of
from reports.view.waivers import waivers_of
from reports.wording import SERVERS
from scanner.history.diff import diff
from scanner.verdict import RunRecord, TargetStatus

if TYPE_CHECKING:
    from scanner.inventory import Environment
    from scanner.ownership import Ownership
    from scanner.policy import Policy
    from scanner.rules import Rule
    from scanner.waiver import Waiver


def build_view(  # noqa: PLR0913  # everything that a report may know besides the run, all of it by keyword
    record: RunRecord,
    *,
    rules: Mapping[str, Rule],
    environments: Mapping[str, Environment] | None = None,
    policies: Mapping[str, Policy] | None = None,
    waivers: Sequence[Waiver] = (),
    previous: RunRecord | None = None,
    first_seen: FirstSeen | None = None,
    trend: Sequence[TrendPoint] = (),
    history: HistoryAnswers | None = None,
    options: ReportOptions | None = None,
    owners: Mapping[str, Ownership] | None = None,
) -> ReportView:
    """Build what a report shows of a run.

    Args:
        record: the run.
        rules: by id; a rule that is not among them is shown by what its verdicts say.
        environments: the configuration, by name. Without it, the enforcement matrix cannot tell what is required.
        policies: by name of environment, or by any other key. Without them, clauses have no addresses and what is out
            of scope is not listed.
        waivers: the configured ones, so that expired and unused ones can be told.
        previous: the run before, of the same scope.
        first_seen: since when what fails has failed; deadlines count from there.
        trend: earlier runs, from `trend_of`.
        history: what the history answers about the runs up to this one; `first_seen` and `trend` follow from it.
        options: title, organisation, classification and the like, and the language that everything is said in.
        owners: who answers for an endpoint (`environment/host:port`), how they are reached, and its labels.

    Raises:
        UnknownLanguageError: there is no catalogue for the language.
    """
    options = options or ReportOptions()
    if history is not None:
        first_seen = first_seen or {key: at.date() for key, at in seen_first(history.failing_since).items()}
        trend = trend or [point for point in trend_of(history.trend) if point.environment in record.run.environments]
    with speaking(language_of(options.language)):
        options = structs.replace(options, title=gettext(options.title))
        record, waivers = readable(record), readable_waivers(waivers)
        previous = readable(previous) if previous is not None else None
        index = Index.of(record)
        run = record.run
        today = run.started_at.date()
        found = environments_of(index)
        total = tally(record.verdicts)
        standing = standing_of(run, found, total)
        guessed = guessed_servers(record)
        chosen = chosen_servers(options.servers, guessed)
        causes, notes, waived_causes = causes_of(index, rules, _urls(policies or {}), chosen)
        certificates = certificates_of(index)
        waiver_views = waivers_of(index, waivers, rules, today)
        unreachables = unreachables_of(index)
        statuses = [target.status for target in record.targets]
        return ReportView(
            options=options,
            run=run,
            headline=headline_of(run, found, standing, total),
            standing=standing,
            total=total,
            targets_expected=max(run.expected_targets, len(record.targets)),
            assessed=statuses.count(TargetStatus.ASSESSED),
            partial=statuses.count(TargetStatus.PARTIAL),
            unreachable=statuses.count(TargetStatus.UNREACHABLE),
            environments=found,
            causes=causes,
            notes=notes,
            waived_causes=waived_causes,
            remedies=remedies_of((*causes, *notes)),
            servers=tuple(SERVERS.get(name, name) for name in guessed),
            changes=_changes(index, previous, history, causes, rules) if previous is not None else None,
            actions=actions_of(
                causes,
                certificates,
                waiver_views,
                unreachables,
                options=options,
                today=today,
                first_seen=first_seen or {},
                owners=owners or {},
            ),
            certificates=certificates,
            matrices=matrices_of(index, environments, (*causes, *notes), rules),
            waivers=waiver_views,
            gaps=gaps_of(index, rules),
            unasked=unasked_of(index, rules),
            unreachables=unreachables,
            policies=policies_of(index, policies, rules),
            targets=targets_of(index, certificates, rules),
            trend=tuple(trend),
            history=history_of(index, history, causes, rules) if history is not None else None,
            clients=clients_of(index),
            whose={endpoint: item for endpoint, item in (owners or {}).items() if item.in_words},
            looked_from=looked_from(index.record),
        )


def _changes(
    index: Index,
    previous: RunRecord,
    history: HistoryAnswers | None,
    causes: tuple[FailureCause, ...],
    rules: Mapping[str, Rule],
) -> Changes:
    """The summary of the one comparison that the chapter on the history details."""
    known = history.difference if history is not None else None
    return changes_of(index, previous, known or diff(previous, index.record), causes, rules)


def _urls(policies: Mapping[str, Policy]) -> dict[str, str]:
    """Where the sources that policies name can be read."""
    return {
        str(source): source.url
        for policy in policies.values()
        for rule in policy.rules.values()
        for source in rule.sources
        if source.url
    }
