"""The form of `nightseal.report/1`, apart from the types that Nightseal uses inside.

The models below are the format. New keys may be added within `/1`, so a reader ignores those that it does not know; a
key that changes its meaning or goes away makes a `/2`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from reports.export.json.evidence_model import Evidence, FailureOut, Out

SCHEMA_ID = "nightseal.report/1"

StatusName = Literal["pass", "fail", "not-applicable", "indeterminate"]
SeverityName = Literal["info", "low", "medium", "high", "critical"]
GoalName = Literal["encryption", "integrity", "authenticity", "enforcement"]
CountedName = Literal["not-met", "note", "waived", "not-assessed", "met", "does-not-apply"]


class Tool(Out):
    """The program that made the report."""

    name: str
    version: str


class Policy(Out):
    """The policy that was applied."""

    id: str
    version: str
    title: str
    digest: str
    """SHA-256 of everything in the policy that can change a verdict; empty if unknown."""


class AbsentDomainOut(Out):
    """A platform host name that does not answer although the other one does: neither a target nor assessed."""

    environment: str
    host: str
    port: int
    named_by: Literal["default_domain", "custom_domain"]
    """The configuration key of the environment that names it."""
    error: FailureOut


class VantageOut(Out):
    """The network position from which a run scanned."""

    name: str
    """The configured name of the place; empty if it has none."""
    addresses: list[str]
    """Source addresses of the scanning machine for connections to the targets."""
    networks: list[str]
    """The networks of those addresses."""
    resolvers: list[str]
    """Name servers of the scanning machine; empty if a proxy resolves the names."""
    proxy: str
    """The proxy used for every connection, without user and password; empty if there was none."""


class NotCoveredOut(Out):
    """Something that probably belongs to the organisation and was not scanned because it is not configured."""

    reason: Literal["not-taken", "unlisted-name", "unlisted-redirect", "no-console", "unexpected-count"]
    environment: str
    host: str
    """Empty if it is not about a single host."""
    found: str
    """Where it was seen: an endpoint, a file and line, or numbers."""


class PartOut(Out):
    """The part of a run that the report covers: one environment, one owner's targets, or targets with a label."""

    environment: str | None = None
    owner: str | None = None
    labels: dict[str, str] = {}
    """Labels that every endpoint of the report has; empty if endpoints were not selected by label."""
    rules: list[str] = []
    """Globs of the rules that were selected; empty if all were."""
    skipped_rules: list[str] = []
    """Globs of the rules that were left out."""


class Run(Out):
    """One execution over a set of targets."""

    id: str
    """Sorts by time."""
    trigger: Literal["ad-hoc", "schedule", "manual"]
    started_at: datetime
    finished_at: datetime
    policy: Policy
    complete: bool
    """False if the run was interrupted before every target was done."""
    expected_targets: int
    """How many targets a complete run would have had."""
    schedule: str | None
    environments: list[str]
    policies: dict[str, Policy]
    """Environments with a separate policy."""
    config_digest: str
    trust_stores: dict[str, str]
    """Each trust store and the SHA-256 over its certificates."""
    engines: dict[str, str]
    """Each library that observed and its version."""
    absent_domains: list[AbsentDomainOut] = []
    vantage: VantageOut | None = None
    """Null in runs by older versions, which did not record it."""
    not_covered: list[NotCoveredOut] = []
    """What was not scanned because it is not configured; at most 1,000 entries."""
    not_covered_total: int = 0
    """The number of all such entries."""
    part: PartOut | None = None
    """Null if the report covers the whole run. All numbers refer to the part only."""


class Summary(Out):
    """Counts of targets and of verdicts. `fail` is the sum of `not_met`, `notes` and `waived`."""

    targets: int
    assessed: int
    pass_: int = Field(alias="pass")
    fail: int
    not_applicable: int
    indeterminate: int
    waived: int
    """Failures that a waiver accepts."""
    not_met: int | None = None
    """Failures of severity low and above that no waiver accepts. Null in reports older than this count."""
    notes: int | None = None
    """Failures of severity info that no waiver accepts: they inform, and do not count against compliance."""


class WaiverOut(Out):
    """Why a failure is accepted, by whom, and until when."""

    reason: str
    owner: str
    expires: date


class VerdictOut(Out):
    """The evidence of a target judged by one rule. A waived verdict stays `fail`."""

    rule: str
    goal: GoalName
    status: StatusName
    severity: SeverityName
    reason: str
    """A stable slug."""
    message: str
    subject: str
    """The part of the target that the verdict is about (a path, a certificate); empty if it is the whole target."""
    observed: str
    expected: str
    sources: list[str]
    waiver: WaiverOut | None
    id: str = ""
    """Stable from run to run for one rule and subject at one environment, host and port, whatever the address."""
    counted_as: CountedName | None = None
    """How every report counts the verdict."""
    first_seen: datetime | None = None
    """Start of the present uninterrupted failure in the history; null if it does not fail or there is no history."""
    finding: str | None = None
    """Number of its finding in the reports of this run, `F1` being the worst; null if it belongs to none."""


class RuleOut(Out):
    """Texts of a rule that gave a verdict."""

    title: str
    """What the rule requires."""
    why: str
    """Why the rule matters."""
    fix: str
    """How to fix a failure."""


class Grading(Out):
    """How the grade was determined. It does not affect compliance."""

    method: str
    """Name and version of the method."""
    score: int | None
    """Combined score of protocols, key exchange and cipher suites before any cap, 0 to 100; null if one is unknown."""
    reasons: list[str]
    """What lowered or decided the grade, the most serious first."""
    missing: list[str]
    """What was not observed, if that is why there is no grade."""


class Target(Out):
    """One endpoint at one IP address."""

    id: str
    environment: str
    application: str | None
    """The application; if several share the endpoint, all of them, separated by commas."""
    applications: list[str]
    host: str
    port: int
    ip: str | None
    role: Literal["application", "development", "monitoring", "server"]
    implied_by: Literal["default_domain", "custom_domain"] | None = None
    """The configuration key of the environment that names the host; null if an endpoint or application does."""
    starttls: str | None
    status: Literal["assessed", "partial", "unreachable"]
    error: FailureOut | None
    grade: str | None
    """A+, A, A-, B, C, D, E, F, T (not trusted) or M (name mismatch); null if it could not be determined."""
    grading: Grading | None = None
    """Null if the evidence is no longer kept."""
    duration_s: float
    connections: int
    policy: Policy
    owner: str | None = None
    """The owner, if configured; the first one of several."""
    owners: list[str] = []
    """All owners: several if applications of different owners share the endpoint."""
    contact: str | None = None
    """Contact of the owner."""
    contacts: list[str] = []
    """Contacts of all owners, in the order of the owners, without duplicates."""
    labels: dict[str, str] = {}
    """Configured labels, such as a tier."""
    evidence: Evidence | None
    verdicts: list[VerdictOut]


class Report(Out):
    """A whole run."""

    schema_: Literal["nightseal.report/1"] = Field(alias="schema")
    tool: Tool
    run: Run
    summary: Summary
    rules: dict[str, RuleOut] = {}
    """The rules that gave a verdict, by id."""
    targets: list[Target]
