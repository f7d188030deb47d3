"""The part of a run that a report is about, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.language import gettext

if TYPE_CHECKING:
    from scanner.standpoint import Part


def part_in_words(part: Part | None) -> str:
    """What a report of a part of a run says of that, in one sentence; empty where it is about the whole."""
    if part is None:
        return ""
    said = [gettext("environment %(name)s") % {"name": part.environment}] if part.environment else []
    said += [gettext("what belongs to %(owner)s") % {"owner": part.owner}] if part.owner else []
    said += [gettext("what has the label %(label)s") % {"label": f"{name}={value}"} for name, value in part.labels]
    said += [gettext("the rules %(glob)s") % {"glob": glob} for glob in part.rules]
    said += [gettext("rules other than %(glob)s") % {"glob": glob} for glob in part.skipped]
    return gettext("Part of the run: only %(parts)s. All numbers are of this part.") % {"parts": ", ".join(said)}
