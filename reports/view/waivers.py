"""Waivers and what became of them: what they accept, until when, and which accept nothing any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from msgspec import structs

from reports.language import told
from reports.view.index import Index
from reports.view.model import WaiverView
from reports.view.target_model import TargetRef
from scanner.idle_waivers import why_idle
from scanner.verdict import AppliedWaiver, Status

if TYPE_CHECKING:
    from scanner.rules import Rule
    from scanner.waiver import Waiver


@dataclass
class _Use:
    failures: int = 0
    targets: dict[TargetRef, None] = field(default_factory=dict)


def waivers_of(
    index: Index, configured: Sequence[Waiver], rules: Mapping[str, Rule], today: date
) -> tuple[WaiverView, ...]:
    """Every waiver that accepts a failure in this run, and of the configured ones also those that do not."""
    uses: dict[tuple[str, AppliedWaiver], _Use] = defaultdict(_Use)
    for target in index.record.targets:
        for verdict in target.verdicts:
            if verdict.waiver is not None:
                use = uses[verdict.rule, verdict.waiver]
                use.failures += 1
                use.targets[index.ref(target)] = None
    views = [_view(rule, waiver, _scope(use), use, today, rules) for (rule, waiver), use in uses.items()]
    used = {waiver for _, waiver in uses}
    for waiver in configured:
        if waiver.applied not in used:
            use = _covered(index, waiver) if waiver.expired(today) else _Use()
            view = _view(waiver.rule, waiver.applied, waiver.scope, use, today, rules)
            idle = why_idle(waiver, index.record.targets)
            views.append(structs.replace(view, judged=idle.judged, worse=idle.worse))
    return tuple(sorted(views, key=lambda view: (view.expires, view.rule, view.scope)))


def _view(  # noqa: PLR0913, PLR0917  # a waiver has that many parts
    rule: str, waiver: AppliedWaiver, scope: str, use: _Use, today: date, rules: Mapping[str, Rule]
) -> WaiverView:
    return WaiverView(
        rule=rule,
        title=told(rules[rule].title) if rule in rules else rule,
        scope=scope,
        reason=waiver.reason,
        owner=waiver.owner,
        expires=waiver.expires,
        days_left=(waiver.expires - today).days,
        failures=use.failures,
        targets=tuple(use.targets),
    )


def _scope(use: _Use) -> str:
    return ", ".join(dict.fromkeys(ref.environment for ref in use.targets))


def _covered(index: Index, waiver: Waiver) -> _Use:
    """The failures that an expired waiver would accept."""
    use = _Use()
    for target in index.record.targets:
        for verdict in target.verdicts:
            if (
                verdict.status is Status.FAIL
                and waiver.covers(verdict.rule, target.environment, target.host, target.port, verdict.subject)
                and waiver.accepts(verdict)
            ):
                use.failures += 1
                use.targets[index.ref(target)] = None
    return use
