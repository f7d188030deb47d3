"""A run of what is configured: the job that an order means, and the way from it into the history and onto paper."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field, structs

from scanner.counting import counted
from scanner.errors import HistoryError, NotKeptError
from scanner.formats import DEFAULT_REPORTS
from scanner.jobs.fleet import fleet_of
from scanner.jobs.keeping import spared
from scanner.jobs.looks import check_looks
from scanner.jobs.named_rules import Named, check_listed
from scanner.jobs.output import Rendering, Written, check_output, write
from scanner.jobs.policies import policies_of
from scanner.jobs.reporting import rendering_of
from scanner.jobs.rule_choice import RuleChoice
from scanner.jobs.selection import select
from scanner.jobs.session import answers_folder, job_parts, probe_settings
from scanner.jobs.site import open_reports, update_site
from scanner.jobs.stopping import telling
from scanner.jobs.unfinished import FOLDER, UnfinishedRun, unfinished
from scanner.jobs.waiting_places import waiting_places
from scanner.jobs.waiting_runs import begin, keep
from scanner.pipeline import Job
from scanner.verdict import Trigger

if TYPE_CHECKING:
    from reports.signature import SigningKey
    from scanner.config.form import ScheduleForm
    from scanner.config.loading import Config
    from scanner.history import History
    from scanner.jobs.session import Overrides
    from scanner.verdict import RunRecord
    from scanner.waiver import Waiver


class Order(Struct, frozen=True):
    """What to run of a configuration. `environments` holds names and globs; empty means all.

    With `resume`, what an interrupted run saw a short while ago is taken over. `failing` are globs of the rules that
    alone decide the exit status.
    """

    environments: Sequence[str] = ()
    schedule: ScheduleForm | None = None
    policy: str | None = None
    formats: Sequence[str] = DEFAULT_REPORTS
    output: str | None = None
    trigger: Trigger = Trigger.MANUAL
    key: SigningKey | None = None
    resume: bool = False
    choice: RuleChoice = field(default_factory=RuleChoice)
    failing: Sequence[str] = ()

    @property
    def by_name(self) -> Named:
        """The rules that are asked for by name, by option."""
        return {"--rule": self.choice.only, "--fail-on-rule": self.failing}


class RunOutcome(Struct, frozen=True):
    """A finished run, what was written of it, and the waivers of the environments that it scanned.

    `files` are its reports, `site` is the page of all runs, where that was written; `troubles` tell what was not.
    `lost` is why the run is not in the history, where it is not.
    """

    record: RunRecord
    previous: RunRecord | None
    files: Sequence[Path] = ()
    waivers: Sequence[Waiver] = ()
    site: Path | None = None
    troubles: Sequence[str] = ()
    lost: NotKeptError | None = None


def execute(
    config: Config,
    order: Order,
    overrides: Overrides,
    scan: Callable[[Job], RunRecord],
    tell: Callable[[str], None] = lambda _: None,
) -> RunOutcome:
    """Check everything that can be checked before, scan, keep, report. `tell` is told what there is to say before.

    Raises:
        NightsealError: something is wrong that makes the run useless; nothing was scanned.
    """
    job = job_of(config, order, overrides)
    check_listed(order.by_name, job.policies.values())
    check_looks(config)
    # The configured output is a folder, even where one format goes there and it is not there yet.
    output = order.output or f"{config.resolve(config.form.nightseal.output).rstrip('/')}/"
    check_output(order.formats, output, outages=order.output is None)
    places = waiting_places(config)
    history, troubles = begin(config.resolve(config.form.nightseal.history), places)
    record: RunRecord | None = None
    lost: NotKeptError | None = None
    with (
        unfinished(job, answers_folder(config).with_name(FOLDER), resume=order.resume) as seen,
        telling(lambda: str(lost) if lost else _kept(history, record, seen)),
    ):
        for sentence in seen.told:
            tell(sentence)
        record = order.choice.applied(scan(seen.job))
        try:
            keep(history, record, places)
            if record.run.complete:
                seen.done()
        except NotKeptError as error:
            # Its reports are written all the same, without what only the history knows.
            lost = error
        outcome = _reported(config, None if lost else history, record, order, output)
    return structs.replace(outcome, troubles=(*troubles, *outcome.troubles), lost=lost)


def _kept(history: History, record: RunRecord | None, seen: UnfinishedRun) -> str:
    """What is left of a run that is interrupted; it may be in the history already, and its reports not written yet."""
    with contextlib.suppress(HistoryError):
        if record is not None and history.order([record.run.id]):
            again = f"`nightseal report --run {record.run.id}` writes its reports"
            return f"run {record.run.id} is in the history; {again}"
    if seen.seen:
        return f"of the run {counted(seen.seen, 'target')} can be taken over by `nightseal run --resume`"
    return "nothing of the run was kept"


def _reported(config: Config, history: History | None, record: RunRecord, order: Order, target: str) -> RunOutcome:
    """Write what can be written: the reports of a run, and where it is in the history the page of all runs."""
    troubles = list[str]()
    rendering, written, site = Rendering(record), Written(), None
    with spared("No report was written", troubles):
        rendering = structs.replace(rendering_of(config, history, record.loaded()), key=order.key)
        written = write(rendering, order.formats, target, name=record.run.id)
    troubles += written.troubles
    if history is not None:
        with spared("The page of all runs was not written", troubles):
            site = update_site(config, history, written.files)
    else:
        open_reports(config)
    scanned = tuple(item for item in config.waivers if any(map(item.within, record.run.environments)))
    return RunOutcome(record, rendering.previous, written.files, scanned, site, troubles)


def job_of(config: Config, order: Order, overrides: Overrides) -> Job:
    """The job that an order means.

    Raises:
        ConfigError: nothing is configured, or the policy is not one.
        UsageError: no environment has such a name.
    """
    inventory = select(config, order.environments)
    default, listed = policies_of(config, order.policy)
    policies = {environment.name: listed[environment.name] for environment in inventory.environments}
    wider = order.choice.widening(policies.values() or [default], order.failing)
    return Job(
        inventory=inventory,
        policy=wider(default),
        policies={name: wider(policy) for name, policy in policies.items()},
        settings=probe_settings(config.scan, inventory.environments, config.folder, overrides),
        waivers=config.waivers,
        trigger=order.trigger,
        schedule=order.schedule.name if order.schedule else None,
        config_digest=config.digest,
        answers=answers_folder(config),
        fleet=fleet_of(config),
        **job_parts(config.scan),
    )
