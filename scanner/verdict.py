"""Evidence judged: verdicts, and the record of a whole run that the history keeps and the reports read."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from json.encoder import encode_basestring_ascii
from typing import Any, Final, Self, TypeVar

from msgspec import Struct

from scanner.evidence import Failure, KeptEvidence, TargetEvidence, to_json
from scanner.inventory import DomainKey, EnvironmentKind, Role, StartTls, address_of
from scanner.judgement import AppliedWaiver as AppliedWaiver  # noqa: PLC0414  # parts of verdicts, told to mypy as ours
from scanner.judgement import PolicyRef as PolicyRef  # noqa: PLC0414
from scanner.judgement import Severity as Severity  # noqa: PLC0414
from scanner.judgement import Source as Source  # noqa: PLC0414
from scanner.judgement import Status as Status  # noqa: PLC0414
from scanner.standpoint import NotCovered, Part, Vantage

R = TypeVar("R", bound="TargetResult")


ONE_ADDRESS: Final = "one-address"
"""The reason of rules that compare addresses, where there is only one: it says nothing of those that failed."""
NOT_ASKED: Final = "not-asked"
"""The reason of contract section 1 for what the configuration or the command line forbids to ask."""


class Goal(StrEnum):
    """What a rule protects: the three protections of HTTPS, and that it is really used."""

    ENCRYPTION = "encryption"
    INTEGRITY = "integrity"
    AUTHENTICITY = "authenticity"
    ENFORCEMENT = "enforcement"


class CountedAs(StrEnum):
    """As what a verdict is counted, everywhere the same. Unknown is never met, and a note stands against nothing."""

    NOT_MET = "not-met"
    NOTE = "note"
    WAIVED = "waived"
    NOT_ASSESSED = "not-assessed"
    MET = "met"
    DOES_NOT_APPLY = "does-not-apply"


# Bound once: in Python 3.11 each look at a member of an enumeration is a call, and runs have a million verdicts.
_FAIL, _PASS, _INDETERMINATE, _INFO = Status.FAIL, Status.PASS, Status.INDETERMINATE, Severity.INFO
_MET, _NOT_MET, _NOTE, _WAIVED = CountedAs.MET, CountedAs.NOT_MET, CountedAs.NOTE, CountedAs.WAIVED
_NOT_ASSESSED, _DOES_NOT_APPLY = CountedAs.NOT_ASSESSED, CountedAs.DOES_NOT_APPLY


@dataclass(frozen=True, slots=True)
class Verdict:
    """Evidence judged by one rule.

    `subject` names the part of the target that is spoken of where a rule speaks of several (a path, a certificate's
    fingerprint); it is empty otherwise. (target, rule, subject) is unique in a run. `reason` is a stable slug,
    `message` the sentence for people. `waiver` accepts a failure, whose status stays FAIL.
    """

    rule: str
    goal: Goal
    status: Status
    severity: Severity
    reason: str
    message: str
    observed: str = ""
    expected: str = ""
    subject: str = ""
    sources: tuple[str, ...] = ()
    waiver: AppliedWaiver | None = None

    @property
    def counts_as_failure(self) -> bool:
        """Whether it is a failure that no waiver accepts."""
        return self.status is _FAIL and self.waiver is None

    @property
    def not_asked(self) -> bool:
        """Whether the question was left out, by the configuration or the command line."""
        return self.reason == NOT_ASKED and self.status is Status.NOT_APPLICABLE

    @property
    def unknown(self) -> bool:
        """Whether it says nothing of the server: nobody asked, or nobody could tell."""
        return self.status is _INDETERMINATE or self.not_asked

    @property
    def counted_as(self) -> CountedAs:
        """As what it is counted."""
        if self.status is _PASS:
            return _MET
        if self.status is _FAIL:
            if self.waiver is not None:
                return _WAIVED
            return _NOTE if self.severity is _INFO else _NOT_MET
        return _NOT_ASSESSED if self.status is _INDETERMINATE else _DOES_NOT_APPLY


class TargetStatus(StrEnum):
    """How far a target was looked at."""

    ASSESSED = "assessed"
    PARTIAL = "partial"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class TargetResult:
    """One target in one run: what was scanned, what was seen, and what the rules say of it.

    In a run over many targets `evidence` is kept outside of memory, and read anew whenever it is asked for: whoever
    needs it more than once holds on to it, or loads the whole record (`RunRecord.loaded`).
    `implied_by` is the key of its environment that names the host, where no endpoint does.
    """

    id: str
    environment: str
    environment_kind: EnvironmentKind | None
    host: str
    port: int
    ip: str | None
    role: Role
    status: TargetStatus
    policy: PolicyRef
    applications: tuple[str, ...] = ()
    starttls: StartTls | None = None
    http_port: int | None = None
    error: Failure | None = None
    duration_s: float = 0.0
    connections: int = 0
    evidence: TargetEvidence | None = None
    verdicts: tuple[Verdict, ...] = ()
    grade: str | None = None
    implied_by: DomainKey | None = None

    @property
    def application(self) -> str | None:
        """The application, or all of them where several share the endpoint; None where there is none."""
        return ", ".join(self.applications) or None

    @property
    def address(self) -> str:
        """`host:port`, with an IPv6 literal in brackets."""
        return address_of(self.host, self.port)

    @property
    def endpoint(self) -> str:
        """`environment/host:port`: the same from run to run, whatever addresses the name has."""
        return f"{self.environment}/{self.address}"

    @property
    def evidence_json(self) -> bytes | None:
        """The evidence as `scanner.evidence.to_json` writes it; None where there is none."""
        held = _HELD.__get__(self)
        if isinstance(held, KeptEvidence):
            return held.json
        return None if held is None else to_json(held)

    def judged(self, verdicts: tuple[Verdict, ...]) -> Self:
        """The same with other verdicts; evidence that is kept outside of memory stays there."""
        return _holding(dataclasses.replace(self, verdicts=verdicts, evidence=None), _HELD.__get__(self))

    def with_evidence(self, kept: KeptEvidence) -> Self:
        """The same with evidence that is kept outside of memory."""
        return _holding(dataclasses.replace(self, evidence=None), kept)

    def loaded(self) -> Self:
        """The same with its evidence in memory."""
        return _holding(dataclasses.replace(self, evidence=None), self.evidence)


class _Evidence:
    """The field `evidence`: what is kept outside of memory is read when it is asked for."""

    def __get__(self, target: TargetResult | None, owner: type[TargetResult] | None = None) -> Any:
        held = _HELD.__get__(target, owner)
        return held.read() if isinstance(held, KeptEvidence) else held

    def __set__(self, target: TargetResult, value: TargetEvidence | KeptEvidence | None) -> None:
        _HELD.__set__(target, value)


_HELD: Final[Any] = TargetResult.__dict__["evidence"]
"""The slot of the field itself: evidence, or where it is kept."""
setattr(TargetResult, "evidence", _Evidence())  # noqa: B010  # to a type checker it is the field that it was


def _holding(target: R, held: TargetEvidence | KeptEvidence | None) -> R:
    """Put the evidence into a result that was made a moment ago, and that nobody else has."""
    _HELD.__set__(target, held)
    return target


@dataclass(frozen=True, slots=True)
class AbsentDomain:
    """A host name of a platform at which nobody answers, while the environment's other one does: it is no target.

    `named_by` is the key of the environment that names it, `failure` how it was found that nobody is there.
    """

    environment: str
    host: str
    port: int
    named_by: DomainKey
    failure: Failure

    @property
    def endpoint(self) -> str:
        """`environment/host:port`, the beginning of the ids of the targets that it would have."""
        return f"{self.environment}/{address_of(self.host, self.port)}"


class Trigger(StrEnum):
    """What started a run."""

    AD_HOC = "ad-hoc"
    SCHEDULE = "schedule"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution over a set of targets. `id` sorts by time.

    `policy` is the configuration's; an environment that names another is in `policies`, by its name.
    `complete` is False where the run was interrupted before every target was done; `expected_targets` tells how many
    there would have been. `engines` maps each library that observed to its version. `absent_domains` were looked
    for and are not there. `vantage` is where it looked from, None in runs that older versions made. `not_covered` lists
    what was not looked at because nobody configured it, `not_covered_total` counts it where the list is cut. `part`
    says which part of the run this is, None where it is the whole; the history keeps whole runs.
    """

    id: str
    trigger: Trigger
    started_at: datetime
    finished_at: datetime
    policy: PolicyRef
    complete: bool
    expected_targets: int
    tool_version: str
    policies: Mapping[str, PolicyRef] = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    schedule: str | None = None
    config_digest: str = ""
    trust_stores: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
    absent_domains: tuple[AbsentDomain, ...] = ()
    vantage: Vantage | None = None
    not_covered: tuple[NotCovered, ...] = ()
    not_covered_total: int = 0
    part: Part | None = None


def new_run_id(now: datetime) -> str:
    """An id that sorts by time and is unique on its own."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S}Z-{secrets.token_hex(3)}"


class Counts(Struct, frozen=True):
    """How many verdicts there are of each status; `waived` ones are counted among `fail` too, as the contract says.

    `failed` is the sum of `not_met` (which stand against compliance), `notes` (of severity info) and `waived`.
    """

    passed: int = 0
    failed: int = 0
    not_applicable: int = 0
    indeterminate: int = 0
    waived: int = 0
    not_met: int = 0
    notes: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class RunRecord:
    """A run with its targets: what is stored, and what is reported."""

    run: Run
    targets: tuple[TargetResult, ...]

    def __repr__(self) -> str:
        """The run, and how many targets: `asyncio.run` spells out what a task returned, hundreds of megabytes here."""
        return f"<{type(self).__name__} {self.run.id}, {len(self.targets)} targets>"

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every verdict of every target."""
        return tuple(verdict for target in self.targets for verdict in target.verdicts)

    def loaded(self) -> Self:
        """The same with all evidence in memory, for whoever reads it more than once."""
        return dataclasses.replace(self, targets=tuple(target.loaded() for target in self.targets))


def count(verdicts: Iterable[Verdict]) -> Counts:
    """Count verdicts."""
    numbers = Counter(verdict.counted_as for verdict in verdicts)
    not_met, notes, waived = (numbers[item] for item in (CountedAs.NOT_MET, CountedAs.NOTE, CountedAs.WAIVED))
    return Counts(
        passed=numbers[CountedAs.MET],
        failed=not_met + notes + waived,
        not_applicable=numbers[CountedAs.DOES_NOT_APPLY],
        indeterminate=numbers[CountedAs.NOT_ASSESSED],
        waived=waived,
        not_met=not_met,
        notes=notes,
    )


def finding_id(target: TargetResult, verdict: Verdict) -> str:
    """What one verdict is called from run to run: the same rule and subject at the same endpoint, at any address.

    It is what alarms and episodes go by, as 32 hexadecimal digits, so that receivers recognise what they have seen.
    """
    # As json.dumps writes a list of strings, of which there are a million in a large run.
    names = map(encode_basestring_ascii, (target.environment, target.address, verdict.rule, verdict.subject))
    return hashlib.sha256(f"[{', '.join(names)}]".encode()).hexdigest()[:32]
