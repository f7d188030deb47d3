"""The live display as it is drawn, by rich; loaded where there is a terminal (`scanner.jobs.progress`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from scanner.dispatch import Progress as Step

_SHOWN = 8
"""Targets in flight that are shown; the others are counted."""


@contextlib.contextmanager
def drawn() -> Iterator[Callable[[Step], None]]:
    """Draw on stderr, and give a function that shows each step."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        overall = display.add_task("targets", total=None)
        lines: dict[str, TaskID] = {}

        def show(step: Step) -> None:
            display.update(overall, total=step.total, completed=step.done)
            if step.stage.value == "started" and len(lines) < _SHOWN:
                lines[step.target_id] = display.add_task(f"  {step.target_id}", total=None)
            elif step.stage.value == "done" and step.target_id in lines:
                display.remove_task(lines.pop(step.target_id))

        yield show
