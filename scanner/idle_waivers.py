"""Why a waiver accepts nothing: nothing fails, what fails is worse than it accepts, or its rule was not judged."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct

from scanner.judgement import Status

if TYPE_CHECKING:
    from scanner.verdict import TargetResult
    from scanner.waiver import Waiver


class Idle(Struct, frozen=True):
    """What is known of a waiver that accepts no failure.

    `judged` says whether the policies of the environments within its scope judge a rule that it is of; `worse` is how
    many failures it covers that are worse than it accepts.
    """

    judged: bool = True
    worse: int = 0


def why_idle(waiver: Waiver, targets: Iterable[TargetResult]) -> Idle:
    """Tell why a waiver accepted none of these targets' failures. What no target can contradict counts as judged."""
    within = [target for target in targets if waiver.within(target.environment)]
    judged = not within or any(fnmatchcase(v.rule, waiver.rule) for target in within for v in target.verdicts)
    worse = sum(
        verdict.status is Status.FAIL
        and waiver.covers(verdict.rule, target.environment, target.host, target.port, verdict.subject)
        and not waiver.accepts(verdict)
        for target in within
        for verdict in target.verdicts
    )
    return Idle(judged, worse)
