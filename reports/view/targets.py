"""The appendix: every target, with what went wrong or stayed unknown there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from reports.view.index import Index, tally
from reports.view.model import TargetView
from reports.view.sentences import reason_in_words, retold
from reports.view.target_model import CertificateView, TargetRef
from reports.wording import FAILURES, PROTOCOLS
from scanner.grade import explained, in_words
from scanner.verdict import Goal, Status, TargetResult, TargetStatus, Verdict

if TYPE_CHECKING:
    from scanner.rules import Rule


def targets_of(
    index: Index, certificates: tuple[CertificateView, ...], rules: Mapping[str, Rule]
) -> tuple[TargetView, ...]:
    """Every target in the run's order, which is the configuration's."""
    served: dict[TargetRef, CertificateView] = {}
    for certificate in reversed(certificates):
        for ref in certificate.targets:
            if certificate.with_sni or ref not in served:
                served[ref] = certificate
    now = index.record.run.finished_at
    return tuple(
        _target(target, index.ref(target), served.get(index.ref(target)), now, rules) for target in index.record.targets
    )


def _target(
    target: TargetResult,
    ref: TargetRef,
    certificate: CertificateView | None,
    now: datetime,
    rules: Mapping[str, Rule],
) -> TargetView:
    by_goal: dict[Goal, list[Verdict]] = defaultdict(list)
    for verdict in target.verdicts:
        by_goal[verdict.goal].append(verdict)
    tls = target.evidence.tls.value if target.evidence else None
    failures = sorted(
        (verdict for verdict in target.verdicts if verdict.status is Status.FAIL),
        key=lambda verdict: (verdict.waiver is not None, -verdict.severity.rank),
    )
    # A target that cannot be reached is unknown in every respect; its error says so once.
    unknown = target.verdicts if target.status is not TargetStatus.UNREACHABLE else ()
    return TargetView(
        ref=ref,
        ip=target.ip,
        role=target.role,
        application=target.application or "",
        status=target.status,
        error=_error(target),
        grade=target.grade,
        grade_words=in_words(found) if (found := explained(target, now)) and tls else "",
        protocols=tuple(PROTOCOLS[protocol] for protocol in tls.negotiated) if tls else (),
        goals={goal: tally(by_goal[goal]) for goal in Goal},
        total=tally(target.verdicts),
        failures=tuple(
            (verdict.severity, verdict.rule, verdict.subject, retold(verdict, rules), verdict.waiver is not None)
            for verdict in failures
        ),
        unknown=tuple(
            (verdict.rule, reason_in_words(verdict.message, rules.get(verdict.rule), verdict.reason))
            for verdict in unknown
            if verdict.status is Status.INDETERMINATE
        ),
        certificate=certificate,
        implied_by=target.implied_by,
    )


def _error(target: TargetResult) -> str:
    if target.error is None:
        return ""
    detail = f" ({target.error.detail})" if target.error.detail else ""
    return f"{FAILURES[target.error.reason]}{detail}"
