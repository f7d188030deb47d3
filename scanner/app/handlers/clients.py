"""`nightseal clients HOST…`: who connects, and whom a change would cut off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reports.clients import ClientsAt, as_data, outcomes, told
from scanner.app import options
from scanner.app.adhoc import asked_for, environment_of, targets_in
from scanner.app.reading import config_to_read
from scanner.app.standpoint import Standpoint
from scanner.clients import Client, all_clients
from scanner.config import loading as configuration
from scanner.config.form_scan import ScanForm
from scanner.errors import ExitStatus, UsageError, nearest
from scanner.history import History
from scanner.inventory import Endpoint, Inventory
from scanner.jobs import session
from scanner.jobs.client_changes import as_the_policy_wants, parse_change
from scanner.jobs.policies import load_policy
from scanner.jobs.session import Overrides, job_parts, probe_settings
from scanner.jobs.stopping import Stopping
from scanner.pipeline import Job
from scanner.replay.recorded import recorded
from scanner.rules import Facts
from scanner.verdict import RunRecord, Trigger

if TYPE_CHECKING:
    from scanner.config.loading import Config

_WIDEST = 100
_NOT_STORED = "the history does not know it: --now looks at it"


def clients(  # noqa: PLR0913, PLR0917  # one for each option
    targets: tuple[str, ...],
    config_path: Path | None,
    change: str | None,
    policy_name: str | None,
    globs: tuple[str, ...],
    ca_file: Path | None,
    deadline: timedelta | None,
    connect_to: tuple[str, ...],
    starttls: str | None,
    sni: str | None,
    proxy: str | None,
    source_address: str | None,
    helo: str | None,
    resolver: str | None,
    target_file: str | None,
    format_name: str,
    *,
    core: bool,
    now: bool,
    quiet: bool,
) -> int:
    """Show which clients connect, and which ones a change would cut off."""
    if change is not None and policy_name:
        raise UsageError("--if and --policy both define the change: omit one of them")
    chosen = _chosen(globs, core=core)
    meant = parse_change(change, _groups(chosen)) if change is not None else None
    policy = load_policy(policy_name) if policy_name else None
    named = (*targets, *(targets_in(target_file) if target_file else ()))
    if not named:
        raise UsageError("nothing to look at: name a HOST such as www.example.com, or a file of them with --file")
    given = {
        "--starttls": starttls,
        "--sni": sni,
        "--proxy": proxy,
        "--source-address": source_address,
        "--helo": helo,
        "--resolver": resolver,
    }
    stored = config_path is not None and not now
    if config_path and stored:
        if useless := next((option for option, value in given.items() if value is not None), None):
            raise UsageError(f"{useless}: with --config the history is read, and nothing is connected to: add --now")
        records = _stored(config_path, named)
    else:
        config = configuration.load(config_path, unset=("notify",)) if config_path else None
        scan = config.form.scan if config else ScanForm()
        standpoint = Standpoint.of(
            proxy=proxy, source_address=source_address, helo=helo, resolver=resolver, configured=scan.proxy
        )
        endpoints, there = asked_for(
            named,
            options.parse_connect_to(connect_to),
            starttls=starttls,
            sni=sni,
            standpoint=standpoint,
        )
        # No client depends on what looks like an attack, nor on what authorities say.
        overrides = standpoint.added_to(Overrides(ca_file, deadline, there, intrusive=False, online=False))
        records = [_scanned(endpoints, config, overrides, quiet=quiet)]
    status = ExitStatus.OK
    answers = []
    unseen: list[dict[str, str | None]] = []
    for facts in (facts for record in records for facts in _facts_of(record, named, stored=stored)):
        tls = facts.evidence.tls.value
        if tls is None:
            failure = facts.evidence.tls.failure
            click.echo(
                f"nightseal: {facts.target.id}: no TLS was seen ({failure.reason if failure else 'unknown'})", err=True
            )
            status = ExitStatus.NOT_ASSESSED
            unseen.append({"target": facts.target.id, "reason": failure.reason if failure else None})
            continue
        changed = meant.applied(tls) if meant else (as_the_policy_wants(facts, policy) if policy else None)
        found = ClientsAt(facts.target.id, outcomes(tls, chosen), outcomes(changed, chosen) if changed else None)
        status = max(status, _status(found), key=_GRAVITY.index)
        answers.append(found)
    if format_name == "json":
        rows = [as_data(item, chosen) for item in answers]
        document = {"schema": "nightseal.clients/1", "targets": rows, "not_assessed": unseen}
        click.echo(json.dumps(document, indent=2))
    elif answers:
        width = min(shutil.get_terminal_size((_WIDEST, 40)).columns, _WIDEST)
        click.echo("\n\n".join(told(item, chosen, every=not quiet, width=width) for item in answers))
    return status


_GRAVITY = (ExitStatus.OK, ExitStatus.NOT_ASSESSED, ExitStatus.FAILED)


def _status(found: ClientsAt) -> ExitStatus:
    """1 where a change cuts somebody off; that some clients do not connect today is what was asked, and no failure."""
    if found.after is None:
        return ExitStatus.OK
    if found.cut_off:
        return ExitStatus.FAILED
    return ExitStatus.NOT_ASSESSED if found.doubtful else ExitStatus.OK


def _chosen(globs: Sequence[str], *, core: bool) -> Mapping[str, Client]:
    every = all_clients()
    for glob in globs:
        if not any(fnmatchcase(one, glob) for one in every):
            raise UsageError(
                f'--client "{glob}" matches no client ({nearest(glob, every) or ", ".join(list(every)[:8]) + ", …"})'
            )
    chosen = {
        one: client
        for one, client in every.items()
        if (not globs or any(fnmatchcase(one, glob) for glob in globs)) and (client.core or not core)
    }
    if not chosen:
        raise UsageError("--core and --client together leave no client: omit --core")
    return chosen


def _groups(chosen: Mapping[str, Client]) -> frozenset[str]:
    return frozenset(group for client in chosen.values() for group in client.groups or ())


def _scanned(endpoints: tuple[Endpoint, ...], config: Config | None, overrides: Overrides, *, quiet: bool) -> RunRecord:
    """What is seen there now."""
    scan = config.form.scan if config else ScanForm()
    environment = environment_of(endpoints)
    policy = load_policy("https-by-default")
    job = Job(
        inventory=Inventory((environment,)),
        policy=policy,
        policies={environment.name: policy},
        settings=probe_settings(scan, [environment], config.folder if config else Path(), overrides),
        trigger=Trigger.AD_HOC,
        **job_parts(scan),
    )
    with Stopping() as stopping:
        return session.run_with_progress(job, stopping, quiet=quiet)


def _stored(config_path: Path, targets: Sequence[str]) -> Sequence[RunRecord]:
    """The latest run that saw each of them."""
    config = config_to_read(config_path)
    history = History.open(config.resolve(config.form.nightseal.history), create=False)
    frame = history.targets(columns=("run_id", "target_id"))
    order = {run_id: place for place, run_id in enumerate(history.order())}
    wanted: dict[str, None] = {}
    for text in targets:
        rows = frame[frame["target_id"].astype(str).str.contains(text, regex=False)]
        if rows.empty:
            raise UsageError(f'"{text}": {_NOT_STORED}')
        wanted[max(rows["run_id"].astype(str), key=order.__getitem__)] = None
    return [history.record(run_id) for run_id in wanted]


def _facts_of(record: RunRecord, targets: Sequence[str], *, stored: bool) -> Iterator[Facts]:
    again = recorded(record, None)
    for item in again.observed:
        if not stored or any(text in item.target.id for text in targets):
            environment = again.environments[item.target.endpoint.environment]
            yield Facts(item.target, environment, item.evidence, datetime.now(UTC))
