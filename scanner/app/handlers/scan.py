"""`nightseal scan TARGET…`: hosts, now."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from scanner.app import options
from scanner.app.adhoc import asked_for, environment_of, targets_in
from scanner.app.hints import hints_of
from scanner.app.standpoint import Standpoint, identity_of
from scanner.config.form_scan import DEFAULT_PATH, NightsealForm, ScanForm
from scanner.errors import NotKeptError, UsageError
from scanner.formats import load
from scanner.inventory import Inventory
from scanner.jobs import exit_status, session
from scanner.jobs.keeping import warn
from scanner.jobs.named_rules import check_listed, unasked
from scanner.jobs.output import OVERVIEW, Rendering, Written, check_output, formats_of, goes_to_stdout, write
from scanner.jobs.policies import load_policy
from scanner.jobs.rule_choice import RuleChoice, check_globs
from scanner.jobs.session import Overrides, answers_folder, job_parts, probe_settings
from scanner.jobs.stopping import Stopping
from scanner.jobs.waiting_places import waiting_places
from scanner.jobs.waiting_runs import begin, keep
from scanner.pipeline import Job
from scanner.verdict import Severity, Trigger

if TYPE_CHECKING:
    from scanner.config.loading import Config

_CONFIGURATION: Final = "scanner.config.loading:load"
"""Loaded where there is one: most scans have none, and its forms take as long to load as all rules."""


def scan(  # noqa: PLR0913, PLR0917  # one for each option
    targets: tuple[str, ...],
    config_path: Path | None,
    policy_name: str | None,
    ca_file: Path | None,
    deadline: timedelta | None,
    connect_to: tuple[str, ...],
    starttls: str | None,
    sni: str | None,
    proxy: str | None,
    source_address: str | None,
    helo: str | None,
    headers: tuple[str, ...],
    client_cert: Path | None,
    client_key: Path | None,
    resolver: str | None,
    formats: tuple[str, ...],
    output: str | None,
    fail_on: str,
    rules: tuple[str, ...],
    skipped: tuple[str, ...],
    fail_on_rules: tuple[str, ...],
    show: str | None,
    target_file: str | None,
    *,
    no_intrusive: bool,
    offline: bool,
    summary: bool,
    record: bool,
    verbose: bool,
    pem: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Scan hosts now and print what was found."""
    silent = quiet and not formats and output is None
    formats = tuple(formats_of(formats, output, ("text",)))
    view = _view(show or ("certificate" if pem and not verbose else None), formats, summary=summary)
    choice = RuleChoice(rules, skipped)
    check_globs("--fail-on-rule", fail_on_rules)
    named = (*targets, *(targets_in(target_file) if target_file else ()))
    config_path = config_path or (DEFAULT_PATH if record else None)
    config: Config | None = load(_CONFIGURATION)(config_path, unset=("notify",)) if config_path else None
    scan = config.form.scan if config else ScanForm()
    standpoint = Standpoint.of(
        proxy=proxy,
        source_address=source_address,
        helo=helo,
        resolver=resolver,
        headers=headers,
        configured=scan.proxy,
    )
    endpoints, there = asked_for(
        named,
        options.parse_connect_to(connect_to),
        starttls=starttls,
        sni=sni,
        standpoint=standpoint,
        identity=identity_of(client_cert, client_key),
    )
    configured = (config.form.nightseal if config else NightsealForm()).policy
    policy = load_policy(policy_name or configured, base=config.folder if config and not policy_name else None)
    asked = ("mail.*",) if any(endpoint.mail_domain for endpoint in endpoints) else ()
    policy = choice.with_those_named(policy, asked, fail_on_rules)
    by_name = {"--rule": rules, "--fail-on-rule": fail_on_rules}
    check_listed(by_name, [policy])
    check_output(formats, output)
    environment = environment_of(endpoints)
    overrides = standpoint.added_to(Overrides(ca_file, deadline, there, intrusive=not no_intrusive, online=not offline))
    job = Job(
        inventory=Inventory((environment,)),
        policy=policy,
        policies={environment.name: policy},
        settings=probe_settings(scan, [environment], config.folder if config else Path(), overrides),
        trigger=Trigger.AD_HOC,
        config_digest=config.digest if config else "",
        answers=answers_folder(config) if config else None,
        **job_parts(scan),
    )
    history = None
    if record and config:
        history, told = begin(config.resolve(config.form.nightseal.history), waiting_places(config))
        warn(told)
    with Stopping() as stopping:
        result = session.run_with_progress(job, stopping, quiet=quiet)
        result = choice.applied(result)
        lost: NotKeptError | None = None
        try:
            if history and config:
                keep(history, result, waiting_places(config))
        except NotKeptError as error:
            # What was seen is printed all the same.
            lost = error
    rendering = Rendering(
        result.loaded(),
        policies=[policy],
        color=colors(no_color=no_color) and goes_to_stdout(output),
        width=shutil.get_terminal_size((100, 40)).columns,
        verbose=verbose,
        pem=pem,
        show=view,
    )
    written = Written() if silent else write(rendering, formats, output, name=result.run.id)
    for path in written.files if not quiet else ():
        click.echo(path, err=True)
    warn(written.troubles)
    for hint in hints_of(result, ca_file=ca_file is not None, identity=client_cert is not None) if not quiet else ():
        click.echo(f"Hint: {hint}", err=True)
    warn(unasked(result, by_name))
    if lost is not None:
        raise lost
    if written.nothing and not history:
        raise NotKeptError("the scan was done, but its results could not be written anywhere")
    return stopping.status(
        exit_status.of(result, Severity(fail_on), fail_on_rules, rules), complete=result.run.complete
    )


def _view(show: str | None, formats: Sequence[str], *, summary: bool) -> str | None:
    """The one view of what was seen that is printed instead of the verdicts; None for these.

    Raises:
        UsageError: it is several.
    """
    if show and summary:
        raise UsageError("--show (or --pem) and --summary print different things: leave one out")
    if (show or summary) and (named := ", ".join(name for name in formats if name != "text")):
        raise UsageError(f"--show and --summary are of text, and {named} has everything in it: leave one out")
    return OVERVIEW if summary else show


def colors(*, no_color: bool) -> bool:
    """Whether to colour what goes to stdout: on a terminal, unless NO_COLOR or the option says otherwise."""
    return sys.stdout.isatty() and not no_color and not os.environ.get("NO_COLOR")
