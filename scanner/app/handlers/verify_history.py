"""A signed report beside the run of the history that it tells of."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from reports.export.json.v1 import report_of
from scanner.app.handlers.lines import line
from scanner.app.handlers.verify import verified
from scanner.app.reading import config_to_read
from scanner.counting import counted
from scanner.errors import ConfigError
from scanner.history import History
from scanner.jobs.output import render
from scanner.jobs.reporting import owned, rendering_of_environment, report_options
from scanner.jobs.rule_choice import RuleChoice
from scanner.untrusted import printable

if TYPE_CHECKING:
    from reports.export.json.v1_model import Report, VerdictOut
    from scanner.config.loading import Config
    from scanner.jobs.output import Rendering


def verify(*, with_history: bool, config_path: Path, **options: Any) -> int:  # noqa: ARG001  # it is what brought us here
    """Verify a report, and compare it with the history too, which takes longer to load."""
    return verified(**options, against=partial(_against_history, config_path))


def _against_history(
    config_path: Path, pdf: bytes, report: Report, *, signer: str | None
) -> tuple[list[str], list[str]]:
    """Compare with the run as the history has it; lines to print, and what is wrong.

    `signer` is whom the first signature names, as page one does. Pages that are drawn otherwise are no fault by
    themselves: another version of Nightseal, of a library or of the configuration draws them otherwise too.
    """
    config = config_to_read(config_path)
    history = History.open(config.resolve(config.form.nightseal.history), create=False)
    rendering = _rendering_of(report, config, history)
    told, kept = _verdicts(report), _verdicts(report_of(rendering.record))
    differing = sorted(name for name in {*told, *kept} if told.get(name) != kept.get(name))
    if differing:
        return [], [
            f"the history has other verdicts for {counted(len(differing), 'target')}, {printable(differing[0])} first"
        ]
    try:
        drawn = structs.replace(rendering, signer=signer, options=report_options(config))
    except ConfigError as error:
        return [line("History", "the same verdicts"), line("Pages", f"not compared: {error}")], []
    same = pdf.startswith(render(drawn, "pdf"))
    pages = "byte for byte as rendered from it now" if same else "rendered differently from it by this version"
    return [line("History", "the same verdicts"), line("Pages", pages)], []


def _rendering_of(report: Report, config: Config, history: History) -> Rendering:
    """What the report is drawn from: its run, or the part of it that it says it is about."""
    part = report.run.part
    record = history.record(report.run.id)
    if part is None:  # Older versions did not say that one environment is a part.
        (environment,) = report.run.environments if len(report.run.environments) == 1 else (None,)
        return rendering_of_environment(config, history, record, environment, drawn=False)
    choice = RuleChoice(part.rules, part.skipped_rules)
    rendering = rendering_of_environment(config, history, choice.applied(record), part.environment, drawn=False)
    rendering = owned(rendering, part.owner, [f"{name}={value}" for name, value in part.labels.items()])
    run = dataclasses.replace(rendering.record.run, part=choice.told_by(rendering.record.run.part))
    return structs.replace(rendering, record=dataclasses.replace(rendering.record, run=run))


def _verdicts(report: Report) -> dict[str, list[VerdictOut]]:
    """The verdicts by target, without what follows from them or from the history, which older reports do not have."""
    derived = {"id": "", "counted_as": None, "first_seen": None}
    return {target.id: [item.model_copy(update=derived) for item in target.verdicts] for target in report.targets}
