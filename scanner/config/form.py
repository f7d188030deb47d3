"""The form of config.toml: every key, its type, its default and what it means.

These models are the outer edge: strict, and closed to unknown keys. `scanner.config` turns them into the inventory.
The JSON Schema that `nightseal config schema` prints is generated from here, docstrings included.
"""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from scanner.config.form_estate import DefaultsForm, EnvironmentForm, OwnerForm
from scanner.config.form_scan import NightsealForm, ScanForm
from scanner.config.values import (
    Duration,
    Event,
    Form,
    FormatName,
    Name,
    Text,
    WebAddress,
    Weekday,
)
from scanner.formats import DEFAULT_REPORTS
from scanner.judgement import Severity


class WindowForm(Form):
    """A time in which no scheduled run starts, in the schedule's time zone."""

    days: list[Weekday] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    """Days on which it begins."""
    start: time = time(0)
    """When it begins on each of these days."""
    end: time = time(0)
    """When it ends: on the same day, or on the next if it is not later than the start."""
    first: date | None = None
    """The first day on which it begins; by default there is none."""
    last: date | None = None
    """The last day on which it begins; by default there is none."""


class ScheduleForm(Form):
    """When scans run by themselves."""

    name: Name
    """Unique."""
    cron: str
    """Five fields as Debian's cron reads them: minute, hour, day, month, weekday. A sixth before them is the second."""
    timezone: str = "UTC"
    """IANA name."""
    environments: list[str] = ["*"]
    """Names of environments, globs allowed."""
    policy: str | None = None
    """Policy for these runs, instead of [nightseal] policy and the environments' policies."""
    reports: list[FormatName] = list(DEFAULT_REPORTS)
    """Formats that are written after the run: those of `--format`."""
    notify: list[str] = []
    """Names of [[notify]] sections."""
    jitter: Duration | None = None
    """Each start is delayed by a random time up to this long."""
    not_during: list[WindowForm] = []
    """Times in which no run starts; a start that falls into one is delayed until its end."""
    deadline: Duration = timedelta(hours=6)
    """Time limit for the whole run; targets that are not done by then are left out, and the run is incomplete."""
    missed: Literal["run", "skip"] = "run"
    """What to do about a start that was missed because the service was down: run once, or skip it."""
    interrupted: Literal["repeat", "resume", "skip"] = "repeat"
    """What to do about an interrupted run: scan everything again, only what was not finished, or nothing."""
    attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    """Maximum number of attempts for a run that is interrupted each time."""
    confirm: bool = True
    """Scan again what got worse, before anyone is notified."""
    confirm_after: Duration = timedelta(minutes=3)
    """How long after the run."""


class NotifyForm(Form):
    """A receiver of notifications."""

    name: Name
    """Unique."""
    url: str
    """URL of the receiver in Apprise's format; keep secrets in the environment: "${VARIABLE}"."""
    on: list[Event] = [
        "new-failure",
        "fixed",
        "expiring",
        "run-failed",
        "waiver-expiring",
        "coverage",
        "certificate-changed",
    ]
    """Events to report; "new-failure" includes "worse", and "fixed" includes "better"."""
    severity: Severity = Severity.LOW
    """Lowest severity of failures to report."""
    attach: Literal["auto", "always", "never"] | bool = "auto"
    """Whether to attach the report, for receivers of files; "auto": if [daemon] report_url is not set."""
    digest: Literal["never", "run", "day", "week"] = "never"
    """When to report the present state if nothing changed: after each run, or after a day or week without a message."""


class WaiverForm(Form):
    """A failure that is accepted for a time."""

    rule: str
    """Id of the rule, globs allowed."""
    scope: str
    """environment[/host[:port]][/path], globs allowed; environment/file:NAME for a file with certificates."""
    reason: Annotated[Text, StringConstraints(min_length=1)]
    """Why it is accepted."""
    owner: Annotated[Text, StringConstraints(min_length=1)]
    """The responsible person or team."""
    expires: date
    """Last day on which the waiver applies, at most [nightseal] waiver_days away."""
    until_worse: Annotated[str, StringConstraints(min_length=1)] | None = None
    """Waives only what is no worse: a severity, a reason's slug, or what may be observed ("tls1.1 tls1.2")."""


ServerProgram = Literal[
    "apache", "aws", "azure", "caddy", "dovecot", "exim", "gnutls", "go", "google cloud", "haproxy", "iis", "java",
    "kubernetes ingress", "lighttpd", "load balancer", "mariadb", "mosquitto", "nginx", "node", "openldap",
    "outsystems", "postfix", "postgresql", "redis", "squid", "stunnel", "tomcat",
]  # fmt: skip


class ReportForm(Form):
    """Contents and appearance of reports."""

    title: Text | None = None
    """Title of the report."""
    organisation: Text | None = None
    """Organisation to which the environments belong."""
    classification: Text | None = None
    """Marking on every page, such as "Confidential"."""
    locale: str = "en"
    """Language of the reports, with its dates and numbers: "en" or "pt"; variants such as "pt-BR" fall back to it."""
    logo: str | None = None
    """SVG or PNG file shown at the top of the reports, in which it is embedded."""
    templates: str | None = None
    """Folder with templates and style sheets that replace the built-in ones, file by file."""
    edition: Literal["full", "management"] = "full"
    """Extent of the PDF: "management" is at most four pages, however many hosts there are."""
    servers: list[ServerProgram] = []
    """Server programs whose configuration the PDF shows in addition to those that were seen."""
    appendix: bool = True
    """Whether the PDF lists every target; the attached data always contains them."""
    tsa: WebAddress | None = None
    """URL of the time stamp authority (RFC 3161) for signatures."""
    signature_roots: str | None = None
    """PEM file of the CAs of signer and time stamp authority: with tsa, revocation data is embedded (PAdES B-LT)."""
    prepared_by: Text | None = None
    """Who prepared the report."""
    sign_off: bool = False
    """Whether the PDF has room for the signatures of those who prepared, reviewed and accepted it."""


class HistoryForm(Form):
    """How long things are kept, where the service or `nightseal history tidy` tidies up."""

    keep: Duration = timedelta(days=400)
    """How long evidence is kept. Verdicts, certificates, targets and runs are kept indefinitely."""
    keep_reports: Duration = timedelta(days=400)
    """How long reports stay in the output folder; they can be rendered again from the history."""


class DaemonForm(Form):
    """The service itself: `nightseal daemon`."""

    state: str = "nightseal.sqlite"
    """File that remembers starts, alarms and messages."""
    socket: str | None = None
    """Unix socket for `nightseal run --via-daemon`: the state file's name with ".sock" by default."""
    http: str = "127.0.0.1:9745"
    """Address of /healthz and /metrics; empty to disable them."""
    grace: Duration = timedelta(seconds=60)
    """How long a run may take to finish when the service is stopped."""
    log: Literal["human", "json"] = "human"
    """Form of the log lines on stderr."""
    report_url: str | None = None
    """URL at which the output folder is served, so that messages can link to the reports."""

    @property
    def report_base(self) -> str | None:
        """The address under which reports are linked to; None without one, or where it is not that of a web page."""
        text = self.report_url or ""
        return text.rstrip("/") if text.startswith(("http://", "https://")) and urlsplit(text).netloc else None


class DispatchForm(Form):
    """Where probes run: on this machine only, or also on workers in other networks."""

    engine: Literal["local", "celery"] = "local"
    """local or celery: environments with a zone are then scanned by its workers."""
    broker: str | None = None
    """Broker between runs and workers: rediss://host:6379/0 or amqps://host:5671; secrets as "${NAME}"."""
    certificates: str | None = None
    """Folder of the coordinator's certificate, as `nightseal cluster certificates` makes it."""
    insecure: bool = False
    """Connect to the broker without mutual TLS; each report says so."""


class ConfigForm(Form):
    """config.toml."""

    include: list[str] = []
    """Files whose sections are added: relative to the file that names them, globs allowed."""

    nightseal: NightsealForm = NightsealForm()
    scan: ScanForm = ScanForm()
    dispatch: DispatchForm = DispatchForm()
    report: ReportForm = ReportForm()
    history: HistoryForm = HistoryForm()
    daemon: DaemonForm = DaemonForm()
    defaults: DefaultsForm = DefaultsForm()
    """Defaults for endpoints and applications of every environment."""
    owner: list[OwnerForm] = []
    environment: list[EnvironmentForm] = []
    schedule: list[ScheduleForm] = []
    notify: list[NotifyForm] = []
    waiver: list[WaiverForm] = []
