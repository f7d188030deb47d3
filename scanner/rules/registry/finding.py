"""What a rule says: findings, the reasons that they give, and the finding for what was not seen."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from scanner.evidence import Attempt, Failure, FailureReason
from scanner.verdict import Severity, Status


class Finding(Struct, frozen=True):
    """What a rule's function returns: a reason that it declared, and the words to fill into its sentence.

    `severity` is set where this finding weighs otherwise than the rule itself does (7 days to expiry rather than 30).
    One that is lower than the rule's caps whatever severity a policy gives the rule; one that is higher raises the
    policy's by as many steps. `values` fill the placeholders of the reason's sentence.
    """

    reason: str
    observed: str = ""
    expected: str = ""
    subject: str = ""
    severity: Severity | None = None
    values: Mapping[str, object] = field(default_factory=dict)


class Reason(Struct, frozen=True):
    """A stable slug's meaning: the status that it gives and the sentence that explains it.

    The sentence may hold placeholders for `Finding.values`, `{observed}`, `{expected}` and `{subject}`.
    """

    status: Status
    sentence: str


def passes(sentence: str) -> Reason:
    """A reason to pass."""
    return Reason(Status.PASS, sentence)


def fails(sentence: str) -> Reason:
    """A reason to fail."""
    return Reason(Status.FAIL, sentence)


def not_applicable(sentence: str) -> Reason:
    """A reason why the rule asks nothing of this target."""
    return Reason(Status.NOT_APPLICABLE, sentence)


def indeterminate(sentence: str) -> Reason:
    """A reason why nobody can tell."""
    return Reason(Status.INDETERMINATE, sentence)


UNIVERSAL_REASONS: Mapping[str, Reason] = {
    "not-observed": Reason(Status.INDETERMINATE, "It could not be observed: {why}."),
    "not-asked": Reason(Status.NOT_APPLICABLE, "The configuration does not allow the query: {why}."),
    "rule-error": Reason(Status.INDETERMINATE, "The rule itself failed, which is a defect of Nightseal: {error}."),
}
"""Reasons that any rule may give."""


def not_observed(failure: Failure | None, *, subject: str = "") -> Finding:
    """The finding for a question that was not asked to its end, or that the configuration forbids to ask."""
    failure = failure or Failure(FailureReason.NOT_RUN)
    why = f"{failure.reason.value} ({failure.detail})" if failure.detail else failure.reason.value
    forbidden = failure.reason is FailureReason.NOT_ASKED
    if forbidden:
        why = failure.detail or "it is switched off"
    return Finding("not-asked" if forbidden else "not-observed", subject=subject, values={"why": why})


def unproven(attempt: Attempt[bool], *, good: bool) -> Finding | None:
    """Why an answer decides nothing: there is none, or it is the `good` one and a later one might have been otherwise.

    One bad answer proves what is wrong; that every answer is good is known only where all were waited for.
    """
    if attempt.value is None or (attempt.value is good and attempt.incomplete is not None):
        return not_observed(attempt.cut_off)
    return None
