"""Nightseal from Python: scan hosts, read a history, judge by a policy, write reports.

What is here keeps its meaning as the command line does (docs/releasing.md, "Deprecations"); other modules are internal.

    >>> from scanner import api
    >>> api.policies()[:3]
    ('bsi-tr-02102-2', 'cabf-br', 'cisa-bod-18-01')
    >>> [rule.id for rule in api.rules("proto.tls1.*")]
    ['proto.tls1.2', 'proto.tls1.3']

Handshakes are made in processes of their own, which need nothing of the script: it needs no main guard.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from reports.export.formats import EXPORTS
from scanner import policy as _policies
from scanner import redaction
from scanner.app.adhoc import endpoints_of, environment_of
from scanner.config.form_scan import ScanForm
from scanner.errors import NightsealError, UsageError
from scanner.formats import FORMATS
from scanner.history import History
from scanner.inventory import Inventory
from scanner.jobs.output import Rendering
from scanner.jobs.output import render as _render
from scanner.jobs.policies import load_policy
from scanner.jobs.session import Overrides, job_parts, probe_settings
from scanner.pipeline import Job
from scanner.pipeline import run as _run
from scanner.replay import Judge
from scanner.rules import Rule, all_rules
from scanner.verdict import RunRecord, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "EXPORTS", "FORMATS", "History", "NightsealError", "Rule", "RunRecord", "history", "judge", "policies", "redact",
    "render", "rules", "scan", "verdicts",
]  # fmt: skip

DEFAULT_POLICY = "https-by-default"


def scan(
    *targets: str,
    policy: str = DEFAULT_POLICY,
    ca_file: str | Path | None = None,
    deadline: timedelta | None = None,
    connect_to: Mapping[str, Sequence[str]] | None = None,
    intrusive: bool = True,
) -> RunRecord:
    """Scan hosts now, as `nightseal scan` does.

    Args:
        targets: `host`, `host:port`, `https://host/path`, `[v6]:port`, `smtp://host:25`, and so on.
        policy: the name of a policy that ships, or the path of a TOML file.
        ca_file: a PEM file of authorities that are trusted as well.
        deadline: for each target, all probes together.
        connect_to: where to connect instead, `{"host:port": ["address:port"]}`, as curl's option does.
        intrusive: whether to send probes that look like attacks.

    Raises:
        UsageError: No target is named, or one cannot be read.
        PolicyError: There is no such policy, or it is invalid.
    """
    environment = environment_of(endpoints_of(targets))
    judged_by = load_policy(policy)
    form = ScanForm()
    overrides = Overrides(
        Path(ca_file) if ca_file else None,
        deadline,
        {name: tuple(addresses) for name, addresses in (connect_to or {}).items()},
        intrusive=intrusive,
    )
    return _run(
        Job(
            inventory=Inventory((environment,)),
            policy=judged_by,
            policies={environment.name: judged_by},
            settings=probe_settings(form, [environment], Path(), overrides),
            trigger=Trigger.AD_HOC,
            config_digest="",
            **job_parts(form),
        )
    )


def history(location: str | Path, *, create: bool = False) -> History:
    """Open a history: `runs()`, `targets()`, `certificates()`, `verdicts()` and `evidence()` are DataFrames.

    `record(run_id)` is a run as `scan` returns it, and `append(record)` keeps one. docs/history.md has the columns.

    Args:
        location: its directory, or the URL of an object store.
        create: begin one where there is none.

    Raises:
        HistoryError: There is none, or it cannot be read.
    """
    return History.open(str(location), create=create)


def judge(record: RunRecord, policy: str = DEFAULT_POLICY, *, as_of: datetime | None = None) -> RunRecord:
    """Judge the evidence of a run by another policy or as of another moment; nothing is asked over the network.

    Targets whose evidence is no longer kept are left out. Rules that ask for settings of a configuration give
    `indeterminate` with the reason `not-recorded`, since a record does not hold them.

    Args:
        record: from `scan`, or from `History.record`.
        policy: the name of a policy that ships, or the path of a TOML file.
        as_of: an aware moment; that of the run by default.

    Raises:
        PolicyError: There is no such policy, or it is invalid.
    """
    return Judge(load_policy(policy), (), lambda _: None)(record, as_of or record.run.finished_at)


def verdicts(record: RunRecord) -> pd.DataFrame:
    """The verdicts of a run: target, rule, goal, status, severity, reason, message, waived."""
    rows = [
        (
            target.id, item.rule, item.goal.value, item.status.value, item.severity.value, item.reason, item.message,
            item.waiver is not None,
        )
        for target in record.targets
        for item in target.verdicts
    ]  # fmt: skip
    columns = ["target", "rule", "goal", "status", "severity", "reason", "message", "waived"]
    return pd.DataFrame(rows, columns=columns)


def render(record: RunRecord, format_name: str = "html", *, policy: str | None = None) -> bytes:
    """A report of a run in one of the formats that `--format` knows.

    Args:
        record: from `scan`, `judge` or `History.record`.
        format_name: a key of `FORMATS`: html, pdf, text, json, csv, sarif, and so on.
        policy: the policy that judged, so that the report cites its clauses; found by its name where it ships.

    Raises:
        UsageError: There is no such format.
        PolicyError: There is no such policy.
    """
    if format_name not in FORMATS:
        raise UsageError(f'there is no format "{format_name}" (known: {", ".join(FORMATS)})')
    shipped = record.run.policy.id in policies()
    judged_by = [load_policy(policy or record.run.policy.id)] if policy or shipped else []
    return _render(Rendering(record, policies=judged_by), format_name)


def redact(record: RunRecord) -> RunRecord:
    """The run with hosts, addresses, names, digests and keys replaced, as `nightseal evidence export --redact` does."""
    return redaction.redacted(record)


def policies() -> tuple[str, ...]:
    """The names of the policies that ship, sorted."""
    return tuple(sorted(_policies.builtin_names()))


def rules(pattern: str = "*") -> tuple[Rule, ...]:
    """The rules whose id matches a glob, by id."""
    return tuple(rule for name, rule in sorted(all_rules().items()) if fnmatchcase(name, pattern))
