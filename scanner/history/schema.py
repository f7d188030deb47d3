"""The columns of the history's tables, and their version: the sole owner of both.

`docs/history.md` is the same for people, and a test holds the two together. A column is never renamed, retyped or
dropped: a new version of the schema only adds columns, each marked with the version that brought it, so that whatever
an older version wrote can be read (`Column.default` stands where it wrote nothing).
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from msgspec import Struct

from scanner.evidence import KeyType
from scanner.inventory import DomainKey, EnvironmentKind, Role, StartTls
from scanner.verdict import Goal, Severity, Status, TargetStatus, Trigger

SCHEMA_VERSION: Final = 5
"""Raised by one whenever a column is added."""

VERSION_KEY: Final = "nightseal.schemaVersion"
"""The key in a Delta table's configuration that holds the version of the schema by which it was written."""

TEXT = pa.string()
TEXTS = pa.list_(pa.string())
TIME = pa.timestamp("us", "UTC")
DAY = pa.date32()
FLAG = pa.bool_()
SMALL = pa.int16()
COUNT = pa.int64()
OPTIONAL_COUNT = pa.int32()
SECONDS = pa.float64()


class Column(Struct, frozen=True):
    """One column: `about` says what it holds, with its unit.

    `vocabulary` is all that the column may hold, in ascending order where it has one (`ordered`). `repeated` marks text
    of which there are few different values: DataFrames hold it as a categorical. `since` is the version of the schema
    that brought the column, `default` what stands in the rows that an older version wrote. An `internal` column is kept
    for the store itself and is in no DataFrame; one `on_request` is only in those that ask for it by name.
    """

    name: str
    type: pa.DataType
    about: str
    vocabulary: tuple[str, ...] = ()
    ordered: bool = False
    repeated: bool = False
    since: int = 1
    default: str | int | float | bool | None = None
    internal: bool = False
    on_request: bool = False

    @property
    def categorical(self) -> bool:
        """Whether DataFrames hold the column as a categorical."""
        return self.repeated or bool(self.vocabulary)


class Table(Struct, frozen=True):
    """One Delta table. `partitions` names the columns by whose values its files are kept apart."""

    name: str
    about: str
    columns: tuple[Column, ...]
    partitions: tuple[str, ...] = ()

    @property
    def arrow(self) -> pa.Schema:
        """The schema as it is stored."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])

    @property
    def public(self) -> tuple[str, ...]:
        """The names of the columns that there are to read."""
        return tuple(column.name for column in self.columns if not column.internal)

    @property
    def shown(self) -> tuple[str, ...]:
        """The names of the columns that DataFrames hold where none were asked for by name."""
        return tuple(column.name for column in self.columns if not (column.internal or column.on_request))

    def column(self, name: str) -> Column:
        """Return the column of that name.

        Raises:
            KeyError: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def _text(name: str, about: str, *, repeated: bool = True) -> Column:
    return Column(name, TEXT, about, repeated=repeated)


_RUN_ID = _text("run_id", "id of the run; sorts by time")
_WRITE_ID = Column(
    "write_id",
    TEXT,
    "one attempt to write a run; rows whose attempt did not reach `runs` do not count",
    repeated=True,
    internal=True,
)
_WRITTEN_AT = Column("written_at", TIME, "when the attempt to write began", internal=True)
_RUN_MONTH = Column("run_month", TEXT, "month in which the run started, `2026-03`", repeated=True, internal=True)
_STARTED_AT = Column("run_started_at", TIME, "when the run started")
_TARGET_ID = _text("target_id", "`environment/host:port@ip`; the same from run to run")
_ENVIRONMENT = _text("environment", "name of the environment")
_HOST = _text("host", "host name, or address where the configuration gives one")
_PORT = Column("port", OPTIONAL_COUNT, "TCP port")
_IP = _text("ip", "IP address that was connected to; null where the name did not resolve")
_HEAD = (_WRITE_ID, _WRITTEN_AT, _RUN_MONTH, _RUN_ID, _STARTED_AT, _TARGET_ID, _ENVIRONMENT)

RUNS = Table(
    "runs",
    "One row per run. It is written last: a run whose row is not here does not exist.",
    (
        _WRITE_ID,
        _WRITTEN_AT,
        _text("run_id", "id of the run; sorts by time", repeated=False),
        Column("trigger", TEXT, "what started it", tuple(Trigger)),
        Column("started_at", TIME, "when it started"),
        Column("finished_at", TIME, "when its last target was done"),
        Column("complete", FLAG, "false where it was interrupted before every target was done"),
        Column("expected_targets", COUNT, "number of targets to scan"),
        Column("environments", TEXTS, "names of the environments that were scanned"),
        _text("schedule", "name of the schedule that started it; null where none did"),
        _text("policy_id", "policy of the configuration"),
        _text("policy_version", "version of that policy"),
        _text("policy_title", "title of that policy"),
        _text("policy_digest", "SHA-256 of that policy's canonical form, hexadecimal"),
        _text("policies", "JSON object: policies of the environments that name another, by environment"),
        _text("config_digest", "SHA-256 of the configuration, hexadecimal"),
        _text("trust_stores", "JSON object: SHA-256 of each trust store, by its name"),
        _text("tool_version", "version of Nightseal"),
        _text("engines", "JSON object: version of each library that observed, by its name"),
        Column("targets", COUNT, "targets in the record"),
        Column("assessed", COUNT, "of them, assessed in full"),
        Column("partial", COUNT, "of them, assessed in part"),
        Column("unreachable", COUNT, "of them, unreachable"),
        Column("passed", COUNT, "verdicts `pass`"),
        Column("failed", COUNT, "verdicts `fail`, the waived ones included"),
        Column("not_applicable", COUNT, "verdicts `not-applicable`"),
        Column("indeterminate", COUNT, "verdicts `indeterminate`"),
        Column("waived", COUNT, "verdicts `fail` that a waiver accepts"),
        Column(
            "absent_domains",
            TEXT,
            "JSON list: host names of platforms that do not answer while the other name does",
            since=2,
        ),
        Column(
            "sequence",
            COUNT,
            "place in the order in which runs were written, with gaps; 0 where an older version wrote",
            since=3,
            default=0,
        ),
        Column(
            "vantage",
            TEXT,
            "JSON object: where it looked from (name, addresses, networks, resolvers, proxy); null in older rows",
            repeated=True,
            since=4,
        ),
        Column(
            "not_covered",
            TEXT,
            "JSON list: what was not scanned because it is not configured, at most 1,000 entries",
            since=4,
        ),
        Column("not_covered_total", COUNT, "the number of such entries", since=4, default=0),
        Column(
            "verdict_counts",
            TEXT,
            "JSON list: each kind of verdicts (environment, goal, severity, status, whether waived) and how many there "
            "are; null in older rows; only read if requested by name",
            since=5,
            on_request=True,
        ),
    ),
)

TARGETS = Table(
    "targets",
    "One row per target and run: what was scanned, and how far.",
    (
        *_HEAD,
        Column("position", OPTIONAL_COUNT, "place of the target in its run, from 0"),
        Column("environment_kind", TEXT, "kind of the environment; null in ad-hoc scans", tuple(EnvironmentKind)),
        _HOST,
        _PORT,
        _IP,
        Column("role", TEXT, "what the endpoint is for", tuple(Role)),
        Column("applications", TEXTS, "names of the applications served there"),
        Column("starttls", TEXT, "protocol that is upgraded to TLS; null where TLS is spoken at once", tuple(StartTls)),
        Column("http_port", OPTIONAL_COUNT, "TCP port of plain HTTP; null where it is not asked"),
        Column("status", TEXT, "how completely it was assessed", tuple(TargetStatus)),
        _text("error_reason", "slug of the reason why it could not be assessed; null where it could"),
        _text("error_detail", "detail of that reason"),
        _text("policy_id", "policy that judged it"),
        _text("policy_version", "version of that policy"),
        _text("policy_title", "title of that policy"),
        _text("policy_digest", "SHA-256 of that policy's canonical form, hexadecimal"),
        _text("grade", "grade; null where none was given"),
        Column("duration_s", SECONDS, "time that the target took, seconds"),
        Column("connections", COUNT, "TCP connections opened to it"),
        _text("facts_digest", "SHA-256 of what was observed, except times; null if nothing was", repeated=False),
        Column(
            "implied_by",
            TEXT,
            "key of the environment that names the host; null where an endpoint or application does",
            tuple(DomainKey),
            since=2,
        ),
    ),
    ("run_month",),
)

CERTIFICATES = Table(
    "certificates",
    "One row per distinct certificate, target and run. The certificate itself is in the evidence.",
    (
        *_HEAD,
        _HOST,
        _PORT,
        _IP,
        Column("position", TEXT, "the server's own certificate, or one sent above it", ("leaf", "intermediate")),
        Column("chain_index", SMALL, "place in the chain as received, the leaf being 0"),
        _text("fingerprint", "SHA-256 of the certificate, hexadecimal"),
        _text("spki", "SHA-256 of its public key, hexadecimal: equal where a key is used again"),
        _text("subject", "subject, RFC 4514"),
        _text("issuer", "issuer, RFC 4514"),
        _text("serial", "serial number, hexadecimal"),
        Column("not_before", TIME, "start of its validity"),
        Column("not_after", TIME, "end of its validity"),
        Column("key_type", TEXT, "public key algorithm", tuple(KeyType)),
        Column("key_bits", OPTIONAL_COUNT, "size of the modulus or curve, bits"),
        _text("curve", "named curve; null where there is none"),
        _text("signature_algorithm", "algorithm by which it is signed"),
        _text("signature_hash", "hash of that signature; null where the algorithm includes none"),
        Column("dns_names", TEXTS, "dNSName entries of subjectAltName"),
        Column("ip_addresses", TEXTS, "iPAddress entries of subjectAltName"),
        Column("is_ca", FLAG, "whether it may issue certificates"),
        Column("self_signed", FLAG, "whether its own key signed it"),
        Column("must_staple", FLAG, "whether it demands a stapled OCSP response"),
        Column("trusted", FLAG, "leaf: whether a path led to a chosen root; null if that was not checked"),
        Column("publicly_trusted", FLAG, "leaf: the same of any browser's roots (of Mozilla's where 0.1 wrote)"),
    ),
    ("run_month",),
)

VERDICTS = Table(
    "verdicts",
    "One row per target, rule and subject in a run.",
    (
        *_HEAD,
        Column("position", SMALL, "place of the verdict at its target, from 0"),
        _text("rule", "id of the rule"),
        _text(
            "subject",
            "part of the target that the verdict is about (a path, a fingerprint); empty for the whole target",
        ),
        Column("goal", TEXT, "what the rule protects", tuple(Goal)),
        Column("status", TEXT, "outcome; a waived failure stays `fail`", tuple(Status)),
        Column("severity", TEXT, "severity of a failure", tuple(Severity), ordered=True),
        _text("reason", "stable slug of the reason"),
        _text("message", "the reason as a sentence"),
        _text("observed", "what was seen"),
        _text("expected", "what the rule demands"),
        Column("sources", TEXTS, "clauses that set the requirement; only read if requested by name", on_request=True),
        Column("waived", FLAG, "whether a waiver accepts the failure"),
        _text("waiver_reason", "why it is accepted; null where it is not"),
        _text("waiver_owner", "who accepts it"),
        Column("waiver_expires", DAY, "last day on which it is accepted"),
    ),
    ("run_month",),
)

EVIDENCE = Table(
    "evidence",
    "One row per target and run at which anything was observed, for as long as evidence is kept.",
    (
        *_HEAD,
        Column("started_at", TIME, "when the probing of the target began"),
        _text("facts_digest", "SHA-256 of what was observed, except times", repeated=False),
        _text("evidence", "all that was observed, JSON as `scanner.evidence.to_json` writes it", repeated=False),
    ),
    ("run_month",),
)

TABLES: Final = {table.name: table for table in (TARGETS, CERTIFICATES, VERDICTS, EVIDENCE, RUNS)}
"""All tables by name, in the order in which a run is written: `runs` last, because its row makes the rest count."""

FORGOTTEN = Table(
    "forgotten",
    "One row per run that was taken out of the history by `nightseal history forget`. The table exists once a run was "
    "removed.",
    (
        _text("run_id", "id of the run", repeated=False),
        Column("started_at", TIME, "when it said that it started"),
        Column("environments", TEXTS, "names of the environments that it scanned"),
        Column("targets", COUNT, "targets in its record"),
        Column("forgotten_at", TIME, "when it was taken out"),
        _text("who", "user and host by whom", repeated=False),
        _text("why", "the reason that was given", repeated=False),
    ),
)
"""The audit of what is no longer there. It is not among `TABLES`, since no run is written into it."""


def describe(table: Table) -> str:
    """The table's columns as rows of a Markdown table: name, type in Delta Lake, type in pandas, meaning."""
    rows = ["| column | stored as | pandas | meaning |", "|---|---|---|---|"]
    for column in table.columns:
        about = column.about
        if column.vocabulary:
            about += f": {', '.join(f'`{value}`' for value in column.vocabulary)}"
        if column.since > 1:
            about += f" (since version {column.since})"
        rows.append(f"| `{column.name}` | {_stored(column.type)} | {_pandas(column)} | {about} |")
    return "\n".join(rows)


def _stored(kind: pa.DataType) -> str:
    names = {TEXT: "string", TEXTS: "list of string", TIME: "timestamp (UTC, µs)", DAY: "date", FLAG: "boolean"}
    return names.get(kind, str(kind))


def _pandas(column: Column) -> str:
    if column.internal:
        return "(internal)"
    if column.categorical:
        return "ordered category" if column.ordered else "category"
    names = {TEXT: "str", TEXTS: "object (list)", TIME: "datetime64[us, UTC]", DAY: "datetime64[ms]",
             FLAG: "boolean", OPTIONAL_COUNT: "Int32", SMALL: "int16", COUNT: "int64", SECONDS: "float64"}  # fmt: skip
    return names[column.type]
