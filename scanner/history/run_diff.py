"""What a comparison of two runs says, as values."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from scanner.evidence import Certificate
from scanner.history.attribution import ChangeCause
from scanner.history.balance import Balance
from scanner.history.renewals import CertificateDifference, is_expected
from scanner.verdict import Run, TargetResult, Verdict


class VerdictChange(Struct, frozen=True):
    """A rule's verdicts on one endpoint in the two runs; None where it was not judged.

    `target` is the address that the verdict speaks of: the worst, where there are several. `places` are all addresses
    where it is so, in the newer run, or in the older one for what is there no more; `addresses` counts those of the
    endpoint in that run.
    """

    target: TargetResult
    rule: str
    subject: str
    before: Verdict | None
    after: Verdict | None
    cause: ChangeCause
    places: tuple[TargetResult, ...] = ()
    addresses: int = 1

    @property
    def verdict(self) -> Verdict:
        """The newer verdict, or the older one where there is no newer."""
        verdict = self.after or self.before
        if verdict is None:  # pragma: no cover  # one of the two is always there
            raise AssertionError
        return verdict


class StillFailing(Struct, frozen=True):
    """A failure that was there in both runs, at whichever addresses. `worse` tells that its severity rose."""

    target: TargetResult
    before: Verdict
    after: Verdict

    @property
    def worse(self) -> bool:
        """Whether its severity rose."""
        return self.after.severity > self.before.severity


class TargetChange(Struct, frozen=True):
    """A target that appeared, disappeared, became unreachable or came back; as the run that has it last saw it."""

    target: TargetResult
    cause: ChangeCause


class AddressChange(Struct, frozen=True):
    """A name that has other addresses than before. `target` is one of the present ones, for what they share."""

    target: TargetResult
    came: tuple[str, ...]
    gone: tuple[str, ...]


class CertificateChange(Struct, frozen=True):
    """The certificate that a target presents to a client that names the host; None where it presented none.

    `differences` tells in what it differs from the one whose place it took, or, where it took none's, from the one that
    is most like it of those that were there.
    """

    target: TargetResult
    before: Certificate | None
    after: Certificate | None
    differences: tuple[CertificateDifference, ...] = ()

    @property
    def expected(self) -> bool:
        """Whether it is what renewing does: the same names, of the same authority. One that is gone is no surprise."""
        return is_expected(self.differences)

    @property
    def words(self) -> str:
        """What happened, as the beginning of a line: `renewed, until 2027-01-31`."""
        if self.after is None:
            return "a certificate is no longer served"
        what = "one more certificate" if self.before is None else "renewed" if self.expected else "replaced"
        return f"{what}, until {self.after.not_after:%Y-%m-%d}"


class RunDiff(Struct, frozen=True):
    """What changed from one run to another.

    A waived failure counts as no longer failing (`newly_waived`), and as a new failure when its waiver ends.
    `worse` and `better` are failures of both runs whose severity changed, or, for `worse`, which fail now at an address
    where they did not. `worse_but_waived` is what a waiver accepts although it was not there when it began to accept
    it, or was less. `newly_assessed` are failures of which nothing was known before: nothing says that they are new.
    `no_longer_judged` holds failures whose rule is not judged any more, or was not asked for, which says nothing of the
    server.
    `balances` is how many checks are not met more and fewer, counted as a run is, in whatever environments, by what
    that comes from.
    `not_scanned` holds targets of an earlier run that an interrupted one did not come to.
    """

    before: Run
    after: Run
    environments: tuple[str, ...]
    new_failures: tuple[VerdictChange, ...] = ()
    fixed: tuple[VerdictChange, ...] = ()
    still_failing: tuple[StillFailing, ...] = ()
    worse: tuple[VerdictChange, ...] = ()
    better: tuple[VerdictChange, ...] = ()
    worse_but_waived: tuple[VerdictChange, ...] = ()
    newly_assessed: tuple[VerdictChange, ...] = ()
    became_indeterminate: tuple[VerdictChange, ...] = ()
    newly_waived: tuple[VerdictChange, ...] = ()
    no_longer_judged: tuple[VerdictChange, ...] = ()
    appeared: tuple[TargetChange, ...] = ()
    disappeared: tuple[TargetChange, ...] = ()
    addresses: tuple[AddressChange, ...] = ()
    not_scanned: tuple[TargetResult, ...] = ()
    now_unreachable: tuple[TargetChange, ...] = ()
    back: tuple[TargetChange, ...] = ()
    certificates: tuple[CertificateChange, ...] = ()
    balances: tuple[Balance, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is other than it was."""
        return bool(
            self.verdict_changes
            or any(
                (
                    self.appeared, self.disappeared, self.addresses, self.not_scanned, self.now_unreachable, self.back,
                    self.certificates,
                )
            )
        )  # fmt: skip

    @property
    def verdict_changes(self) -> tuple[VerdictChange, ...]:
        """All changes of verdicts."""
        return (
            *self.new_failures, *self.fixed, *self.worse, *self.better, *self.worse_but_waived, *self.newly_assessed,
            *self.became_indeterminate, *self.newly_waived, *self.no_longer_judged,
        )  # fmt: skip

    @property
    def since(self) -> datetime:
        """When the earlier run started."""
        return self.before.started_at
