"""The form of `nightseal.report/1`, apart from the types that Nightseal uses inside.

The models below are the format. New keys may be added within `/1`, so a reader ignores those that it does not know; a
key that changes its meaning or goes away makes a `/2`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from reports.export.json_evidence_model import Evidence, FailureOut, Out

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
    """The policy that judged."""

    id: str
    version: str
    title: str
    digest: str
    """SHA-256 of everything in the policy that can change a verdict; empty where it is not known."""


class AbsentDomainOut(Out):
    """A host name of a platform that does not answer, while its other one does: not a target, and not assessed."""

    environment: str
    host: str
    port: int
    named_by: Literal["default_domain", "custom_domain"]
    """The key of the environment that names it."""
    error: FailureOut


class VantageOut(Out):
    """Where a run looked from."""

    name: str
    """What the place is called; empty where nobody named it."""
    addresses: list[str]
    """Addresses of the scanning machine that connections to the targets leave from."""
    networks: list[str]
    """The networks of those addresses."""
    resolvers: list[str]
    """Name servers of the scanning machine; none where a proxy resolves the names."""
    proxy: str
    """The proxy that carried every connection, without user and password; empty where there was none."""


class NotCoveredOut(Out):
    """Something of ours that was not looked at because nobody configured it."""

    reason: Literal["not-taken", "unlisted-name", "unlisted-redirect", "no-console", "unexpected-count"]
    environment: str
    host: str
    """Empty where it is not about one host."""
    found: str
    """Where that was seen: an endpoint, a file and its line, or numbers."""


class PartOut(Out):
    """The part of a run that the report is about: one environment, what one owner answers for, what has labels."""

    environment: str | None = None
    owner: str | None = None
    labels: dict[str, str] = {}
    """Labels that every endpoint of the report has; none where they were not chosen by."""
    rules: list[str] = []
    """Globs of the rules that were chosen; all where there are none."""
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
    """False where the run was interrupted before every target was done."""
    expected_targets: int
    """How many targets a complete run would have had."""
    schedule: str | None
    environments: list[str]
    policies: dict[str, Policy]
    """Environments that are judged by a policy of their own."""
    config_digest: str
    trust_stores: dict[str, str]
    """Each trust store and the SHA-256 over its certificates."""
    engines: dict[str, str]
    """Each library that observed and its version."""
    absent_domains: list[AbsentDomainOut] = []
    vantage: VantageOut | None = None
    """Null in runs of older versions, which did not record it."""
    not_covered: list[NotCoveredOut] = []
    """What was not looked at because nobody configured it; at most 1,000 of it."""
    not_covered_total: int = 0
    """How much of that there is."""
    part: PartOut | None = None
    """Null where the report is about the whole run. All numbers are of the part alone."""


class Summary(Out):
    """Counts of targets and of verdicts. `fail` is the sum of `not_met`, `notes` and `waived`."""

    targets: int
    assessed: int
    pass_: int = Field(alias="pass")
    fail: int
    not_applicable: int
    indeterminate: int
    waived: int
    """Fails that a waiver accepts."""
    not_met: int | None = None
    """Fails of severity low and above that no waiver accepts. Null in reports older than this count."""
    notes: int | None = None
    """Fails of severity info that no waiver accepts: they inform, and stand against nothing."""


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
    """The part of the target that is spoken of (a path, a certificate); empty where it is the whole target."""
    observed: str
    expected: str
    sources: list[str]
    waiver: WaiverOut | None
    id: str = ""
    """The same from run to run for one rule and subject at one environment, host and port, whatever the address."""
    counted_as: CountedName | None = None
    """As what it is counted in every report."""
    first_seen: datetime | None = None
    """Since when it fails without a break, as far as the history knows; null where it does not fail or none is kept."""
    finding: str | None = None
    """The number of its finding in the reports of this run, `F1` the worst; null where it belongs to none."""


class RuleOut(Out):
    """A rule that gave a verdict, in words."""

    title: str
    """What it demands."""
    why: str
    """What it protects from."""
    fix: str
    """How it is mended."""


class Grading(Out):
    """How the grade came about. It is no part of compliance."""

    method: str
    """Whose method it is, and which version."""
    score: int | None
    """0 to 100, of protocols, key exchange and cipher suites together, before any cap; null where one is unknown."""
    reasons: list[str]
    """What lowered or decided it, the gravest first."""
    missing: list[str]
    """What was not observed, where there is no grade for that reason."""


class Target(Out):
    """One endpoint at one IP address."""

    id: str
    environment: str
    application: str | None
    """The application, or all of them joined by commas where several share the endpoint."""
    applications: list[str]
    host: str
    port: int
    ip: str | None
    role: Literal["application", "development", "monitoring", "server"]
    implied_by: Literal["default_domain", "custom_domain"] | None = None
    """The key of the environment that names the host; null where an endpoint or application does."""
    starttls: str | None
    status: Literal["assessed", "partial", "unreachable"]
    error: FailureOut | None
    grade: str | None
    """A+, A, A-, B, C, D, E, F, T (not trusted) or M (another name); null where it could not be determined."""
    grading: Grading | None = None
    """Null where the evidence is no longer kept."""
    duration_s: float
    connections: int
    policy: Policy
    owner: str | None = None
    """Who answers for it, where somebody is named; the first of several."""
    owners: list[str] = []
    """All who answer for it: several where applications of theirs share the endpoint."""
    contact: str | None = None
    """How the owner is reached."""
    contacts: list[str] = []
    """How all owners are reached, in their order, each once."""
    labels: dict[str, str] = {}
    """What the configuration says of it besides, such as a tier."""
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
