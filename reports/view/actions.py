"""Who must do what by when: one line for each cause in each environment, soonest first.

The date follows from the severity (`ReportOptions.due_days`, counted from when the failure was first seen, as far as
that is known), or from the day on which a certificate or a waiver ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta

from msgspec import structs

from reports.language import gettext
from reports.view.model import Action, ActionKind, FailureCause, Occurrence, WaiverView
from reports.view.options import ReportOptions
from reports.view.target_model import CertificateView, TargetRef, UnreachableView
from reports.wording import SEVERITIES, counted
from scanner.ownership import Ownership
from scanner.verdict import Severity

RENEWAL_RULES = frozenset({"cert.expiry", "cert.valid-now"})
WAIVER_NOTICE_DAYS = 60
_FAR = date.max

_Who = tuple[str, str]
FirstSeen = Mapping[tuple[str, str], date]
"""The day on which a rule was first seen to fail at an endpoint, by (endpoint, rule id), of what still fails."""


def actions_of(  # noqa: PLR0913  # everything that can call for an action
    causes: tuple[FailureCause, ...],
    certificates: tuple[CertificateView, ...],
    waivers: tuple[WaiverView, ...],
    unreachables: tuple[UnreachableView, ...],
    *,
    options: ReportOptions,
    today: date,
    first_seen: FirstSeen,
    owners: Mapping[str, Ownership],
) -> tuple[Action, ...]:
    """Every action that the run calls for; what has a date first, by date, then by severity.

    `owners` are by endpoint (`environment/host:port`); where nobody is named, the environment stands for its owner.
    """
    ends: dict[TargetRef, date] = {}
    for certificate in reversed(certificates):
        if certificate.with_sni:
            ends.update(dict.fromkeys(certificate.targets, certificate.not_after.date()))
    actions = [
        action
        for cause in causes
        for action in _actions_for(cause, ends, options=options, today=today, first_seen=first_seen, owners=owners)
    ]
    actions = _merged(actions)
    actions += [_decide(waiver) for waiver in waivers if waiver.failures and waiver.days_left <= WAIVER_NOTICE_DAYS]
    actions += [action for item in unreachables for action in _reach(item, owners)]
    return tuple(
        sorted(actions, key=lambda item: (item.due or _FAR, -(item.severity.rank if item.severity else 0), item.who))
    )


def _actions_for(  # noqa: PLR0913  # what dates and owners follow from
    cause: FailureCause,
    ends: Mapping[TargetRef, date],
    *,
    options: ReportOptions,
    today: date,
    first_seen: FirstSeen,
    owners: Mapping[str, Ownership],
) -> list[Action]:
    by_owner: dict[_Who, list[tuple[Occurrence, TargetRef]]] = defaultdict(list)
    for occurrence in cause.occurrences:
        for target in occurrence.targets:
            by_owner[_who(target, owners)].append((occurrence, target))
    actions = []
    for (who, contact), places in by_owner.items():
        occurrences = [occurrence for occurrence, _ in places]
        targets = tuple(dict.fromkeys(target for _, target in places))
        severity: Severity = max(item.severity for item in occurrences)
        days = options.due_days.get(severity)
        since = min((first_seen.get((target.endpoint, cause.rule), today) for target in targets), default=today)
        due = since + timedelta(days=days) if days is not None else None
        because = SEVERITIES[severity]
        if days is not None:
            because = gettext("%(severity)s: within %(days)s days") % {"severity": because, "days": days}
        kind = ActionKind.FIX
        if cause.rule in RENEWAL_RULES and (found := [ends[target] for target in targets if target in ends]):
            kind, due = ActionKind.RENEW, max(min(found), today)
            because = gettext("The certificate ends") if min(found) >= today else gettext("The certificate has expired")
        actions.append(
            Action(
                kind=kind,
                who=who,
                contact=contact,
                what=cause.fix.summary if cause.fix else cause.title,
                targets=targets,
                due=due,
                because=because,
                severity=severity,
                anchor=cause.anchor,
            )
        )
    return actions


def _merged(actions: list[Action]) -> list[Action]:
    """One action where several causes are mended in the same way; its date is the soonest."""
    merged: dict[tuple[ActionKind, str, str, str], Action] = {}
    for action in sorted(actions, key=lambda item: item.due or _FAR):
        key = (action.kind, action.who, action.contact, action.what)
        known = merged.setdefault(key, action)
        if known is not action:
            targets = tuple(dict.fromkeys((*known.targets, *action.targets)))
            merged[key] = structs.replace(known, targets=targets)
    return list(merged.values())


def _decide(waiver: WaiverView) -> Action:
    if waiver.expired:
        what = gettext(
            "The waiver of %(rule)s has expired: fix what it covered, or renew it with a reason (%(failures)s)."
        )
    else:
        what = gettext("The waiver of %(rule)s ends: fix what it covers, or renew it with a reason (%(failures)s).")
    return Action(
        kind=ActionKind.DECIDE,
        who=waiver.owner,
        what=what % {"rule": waiver.rule, "failures": counted(waiver.failures, "failure")},
        targets=waiver.targets,
        due=waiver.expires,
        because=gettext("The waiver has expired") if waiver.expired else gettext("The waiver ends"),
    )


def _reach(item: UnreachableView, owners: Mapping[str, Ownership]) -> list[Action]:
    by_owner: dict[_Who, list[TargetRef]] = defaultdict(list)
    for target in item.targets:
        by_owner[_who(target, owners)].append(target)
    return [
        Action(
            kind=ActionKind.REACH,
            who=who,
            contact=contact,
            what=gettext("Allow the scanner to reach it, or remove it from the configuration."),
            targets=tuple(targets),
            due=None,
            because=item.reason[:1].upper() + item.reason[1:],
        )
        for (who, contact), targets in by_owner.items()
    ]


def _who(target: TargetRef, owners: Mapping[str, Ownership]) -> _Who:
    """Who answers for a target, and how they are reached; the environment, where nobody is named."""
    whose = owners.get(target.endpoint)
    if whose is None:
        return target.environment, ""
    return ", ".join(whose.owners) or target.environment, ", ".join(whose.contacts)
