"""What a report is drawn from: the run, and what the history and the configuration know besides."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import structs

from reports.view.options import Edition, ReportOptions
from scanner.errors import PolicyError, UsageError, nearest
from scanner.inventory import Role
from scanner.jobs.looks import check_looks
from scanner.jobs.looks_opened import signature_roots
from scanner.jobs.output import Rendering
from scanner.jobs.rule_choice import with_opt_in
from scanner.ownership import Ownership
from scanner.policy import load
from scanner.standpoint import Part
from scanner.verdict import RunRecord

if TYPE_CHECKING:
    from scanner.config.loading import Config
    from scanner.history import History
    from scanner.policy import Policy


def rendering_of(config: Config, history: History | None, record: RunRecord, *, drawn: bool = True) -> Rendering:
    """Gather everything that a report of `record` may show. Without the history that it is in, nothing of its past.

    Where nothing is `drawn`, it does not matter what drawn reports look like, nor whether their templates can be used.

    The configuration is used only where it is the one that the run was made with: requirements and waivers of another
    would not be those that were judged.
    """
    run = record.run
    earlier = history.previous(run.id) if history else None
    same = config.digest == run.config_digest
    return Rendering(
        record,
        previous=history.record(earlier) if history and earlier else None,
        policies=policies_of(config, record),
        environments=config.inventory.environments if same else None,
        waivers=config.waivers if same else (),
        history=history,
        options=report_options(config) if drawn else ReportOptions(language=config.form.report.locale),
        owners=owners_of(config),
        roles=roles_of(config),
    )


def roles_of(config: Config) -> dict[str, dict[str, Role]]:
    """The roles of the consoles at each endpoint that has any at paths, by their paths."""
    endpoints = (endpoint for endpoint in config.inventory.endpoints if endpoint.consoles)
    return {item.id: {path: role for role, path in item.console_places} for item in endpoints}


def owners_of(config: Config) -> dict[str, Ownership]:
    """Who answers for each endpoint of the configuration, and its labels."""
    return {endpoint.id: whose for endpoint in config.inventory.endpoints if (whose := endpoint.whose) != Ownership()}


def owned(rendering: Rendering, owner: str | None, labels: Sequence[str]) -> Rendering:
    """What the report of one owner, or of what has some labels, is made of.

    Raises:
        UsageError: a label is not NAME=VALUE, or nothing in the run is so.
    """
    if owner is None and not labels:
        return rendering
    wanted = set[tuple[str, str]]()
    for label in labels:
        name, equals, value = label.partition("=")
        if not (name and equals):
            raise UsageError(f'--label "{label}": it is not NAME=VALUE, such as tier=1')
        wanted.add((name, value))
    kept = {
        endpoint
        for endpoint, item in rendering.owners.items()
        if (owner is None or owner in item.owners) and wanted <= set(item.labels)
    }
    record = _only_those(rendering.record, kept)
    if not record.targets:
        raise UsageError(_nothing(_only_those(rendering.record, rendering.owners), rendering.owners, owner, wanted))
    previous = rendering.previous
    part = dataclasses.replace(rendering.record.run.part or Part(), owner=owner, labels=tuple(sorted(wanted)))
    record = RunRecord(dataclasses.replace(record.run, part=part), record.targets)
    return structs.replace(
        rendering, record=record, previous=_only_those(previous, kept) if previous is not None else None
    )


def _nothing(
    record: RunRecord, known: Mapping[str, Ownership], owner: str | None, labels: Collection[tuple[str, str]]
) -> str:
    """Why nothing of a run is an owner's and has some labels, and what there is instead."""
    there = [known[endpoint] for endpoint in dict.fromkeys(target.endpoint for target in record.targets)]
    owners = sorted({name for item in there for name in item.owners})
    if owner is not None and owner not in owners:
        hint = nearest(owner, owners) or _listed("owners", owners)
        return f'the run has no target of the owner "{owner}" ({hint})'
    theirs = [item for item in there if owner is None or owner in item.owners]
    found = sorted({f"{name}={value}" for item in theirs for name, value in item.labels})
    said = [f"{name}={value}" for name, value in sorted(labels)]
    missing = next((label for label in said if label not in found), None)
    hint = (nearest(missing, found) if missing else None) or _listed("labels", found)
    whose = "" if owner is None else f' of the owner "{owner}"'
    quoted = " and ".join(f'"{label}"' for label in said)
    return f"the run has no target{whose} with the label{'' if len(said) == 1 else 's'} {quoted} ({hint})"


def _listed(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return f"{what}: {', '.join(names[:_MOST_LISTED]) or 'none'}{more}"


_MOST_LISTED: Final = 30


def _only_those(record: RunRecord, endpoints: Collection[str]) -> RunRecord:
    targets = tuple(target for target in record.targets if target.endpoint in endpoints)
    environments = {target.environment for target in targets}
    places = {(target.environment, target.address) for target in targets}
    missing = [item for item in record.run.not_covered if (item.environment, item.found) in places]
    run = dataclasses.replace(
        record.run,
        not_covered=tuple(missing),
        not_covered_total=len(missing),
        environments=tuple(name for name in record.run.environments if name in environments),
        expected_targets=len(targets) if record.run.complete else record.run.expected_targets,
    )
    return RunRecord(run, targets)


def name_of(record: RunRecord) -> str:
    """What the files of a report are called: by its run, and by the part of it, whose report is another than the run's.

    Each name of a part begins with what kind of part it is, so that it is no suffix of another format.
    """
    part = record.run.part
    if part is None:
        return record.run.id
    said = [("environment", part.environment), ("owner", part.owner)]
    said += [("label", f"{name}={value}") for name, value in part.labels]
    said += [("rules", glob) for glob in part.rules] + [("without", glob) for glob in part.skipped]
    return f"{record.run.id}.{_in_file_names('-'.join(f'{kind}-{text}' for kind, text in said if text is not None))}"


def _in_file_names(text: str) -> str:
    """A text as part of a file name: what cannot stand there becomes a hyphen, and a digest tells it apart."""
    kept = re.sub(r"[^\w-]+", "-", text)[:_LONGEST_NAME]
    return kept if kept == text else f"{kept}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


_LONGEST_NAME: Final = 60


def policies_of(config: Config, record: RunRecord) -> list[Policy]:
    """The policies that a run was judged by, as far as they are still the same.

    A run may have judged by rules that its policy does not list, because somebody named them (`--rule`): it has
    verdicts of these, by which the policy is found as it was then.
    """
    found: dict[str, Policy] = {}
    judged: dict[str, set[str]] = {}
    for target in record.targets:
        ref = record.run.policies.get(target.environment, record.run.policy)
        judged.setdefault(ref.id, set()).update(verdict.rule for verdict in target.verdicts)
    wanted = {ref.id: ref.digest for ref in (record.run.policy, *record.run.policies.values())}
    names = {config.form.nightseal.policy, *(item.policy for item in config.form.environment if item.policy), *wanted}
    for name in sorted(names):
        try:
            policy = load(name, base=config.folder)
        except PolicyError:
            continue
        wider = with_opt_in(policy, judged.get(policy.id, ()))
        match = next((item for item in (policy, wider) if wanted.get(policy.id) == item.digest), None)
        if match is not None:
            found[policy.id] = match
    return list(found.values())


def report_options(config: Config) -> ReportOptions:
    """What [report] says of the reports' looks and language.

    Raises:
        ConfigError: there is no such language, the logo is none, or a template cannot be used; lists all of it.
    """
    logo = check_looks(config)
    form, default = config.form.report, ReportOptions()
    return ReportOptions(
        title=form.title or default.title,
        organisation=form.organisation or default.organisation,
        classification=form.classification or default.classification,
        language=form.locale,
        logo=logo,
        templates=Path(config.resolve(form.templates)) if form.templates else None,
        edition=Edition(form.edition),
        servers=tuple(form.servers),
        appendix=form.appendix,
        prepared_by=form.prepared_by or "",
        sign_off=form.sign_off,
        tsa=form.tsa,
        signature_roots=signature_roots(config),
        vantage=config.form.scan.vantage or "",
    )


def rendering_of_environment(
    config: Config, history: History, record: RunRecord, environment: str | None, *, drawn: bool = True
) -> Rendering:
    """What the report of a run is made of; with an environment, of that alone.

    Raises:
        UsageError: the run has no such environment.
    """
    rendering = rendering_of(config, history, record, drawn=drawn)
    if environment is None:
        return rendering
    previous = rendering.previous
    return structs.replace(
        rendering,
        record=_only(record, environment),
        previous=_only(previous, environment) if previous else None,
    )


def _only(record: RunRecord, environment: str) -> RunRecord:
    """The part of a run that is about one environment."""
    if environment not in record.run.environments:
        known = record.run.environments
        hint = nearest(environment, known) or f"it has: {', '.join(known)}"
        raise UsageError(f'run {record.run.id} has no environment "{environment}" ({hint})')
    targets = tuple(target for target in record.targets if target.environment == environment)
    missing = [item for item in record.run.not_covered if item.environment == environment]
    run = dataclasses.replace(
        record.run,
        not_covered=tuple(missing),
        not_covered_total=len(missing),
        environments=(environment,),
        part=Part(environment) if record.run.environments != (environment,) else None,
        expected_targets=len(targets) if record.run.complete else record.run.expected_targets,
        policies={name: ref for name, ref in record.run.policies.items() if name == environment},
    )
    return RunRecord(run, targets)
