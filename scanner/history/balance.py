"""How many checks are not met more and fewer than in an earlier run, by what that comes from.

A run is counted verdict by verdict: what is not met at two addresses of a name is not met twice. So this counts address
by address too, and all of it together is the difference between the two runs' counts, whatever came, went, was waived
or is judged by another policy. What changed is told by endpoint instead (`scanner.history.diff`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from scanner.history.attribution import Attribution, ChangeCause
from scanner.verdict import CountedAs, TargetResult, Verdict


class Balance(Struct, frozen=True):
    """How many checks are not met more and fewer through one cause."""

    cause: ChangeCause
    more: int
    fewer: int


class Balances:
    """Counts one requirement at one endpoint after another.

    `whole` tells of both runs whether they ended by themselves: an address that an interrupted run lacks was not looked
    at, which says nothing of the name.
    """

    def __init__(self, attribution: Attribution, *, whole: tuple[bool, bool]) -> None:
        self._attribution = attribution
        self._whole = whole
        self._more, self._fewer = Counter[ChangeCause](), Counter[ChangeCause]()

    def compare(
        self,
        rule: str,
        before: tuple[Sequence[TargetResult], Mapping[str, Verdict]],
        after: tuple[Sequence[TargetResult], Mapping[str, Verdict]],
        cause: Callable[[], ChangeCause],
    ) -> None:
        """Count a rule and subject at an endpoint that both runs have.

        Args:
            rule: whose verdicts they are.
            before: the targets of the earlier run, and their verdicts by target.
            after: those of the later run.
            cause: why the endpoint as a whole came out differently, or that it has other addresses; for addresses that
                only one of the runs looked at.
        """
        failed, fails = _not_met(before[1]), _not_met(after[1])
        if failed == fails:
            return
        then, now = ({target.id: target for target in targets} for targets, _ in (before, after))
        for changed, counter in ((fails - failed, self._more), (failed - fails, self._fewer)):
            for name in changed & then.keys() & now.keys():
                verdicts = before[1].get(name), after[1].get(name)
                counter[self._attribution.of_address(rule, (then[name], verdicts[0]), (now[name], verdicts[1]))] += 1
        came, gone = len(fails - failed - then.keys()), len(failed - fails - now.keys())
        # What moved from one address to another is neither more nor less.
        for number, counter, whole in (
            (came - gone, self._more, self._whole[0]),
            (gone - came, self._fewer, self._whole[1]),
        ):
            if number > 0:
                counter[cause() if whole else ChangeCause.NETWORK] += number

    def come(self, targets: Sequence[TargetResult]) -> None:
        """Count an endpoint that the earlier run did not have."""
        self._present(targets, self._more, whole=self._whole[0])

    def go(self, targets: Sequence[TargetResult]) -> None:
        """Count an endpoint that the later run does not have."""
        self._present(targets, self._fewer, whole=self._whole[1])

    def _present(self, targets: Sequence[TargetResult], counter: Counter[ChangeCause], *, whole: bool) -> None:
        number = sum(verdict.counted_as is CountedAs.NOT_MET for target in targets for verdict in target.verdicts)
        if number:
            counter[self._attribution.of_presence(targets[0]) if whole else ChangeCause.NETWORK] += number

    @property
    def found(self) -> tuple[Balance, ...]:
        """All of it, the most first."""
        more, fewer = self._more, self._fewer
        causes = sorted(more.keys() | fewer.keys(), key=lambda cause: (-more[cause] - fewer[cause], cause))
        return tuple(Balance(cause, more[cause], fewer[cause]) for cause in causes)


def _not_met(verdicts: Mapping[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.counted_as is CountedAs.NOT_MET}
