"""What receivers are told of a run: one message each, the worst first, as text and as HTML.

What a scanned host said may stand in a finding's sentence: `inert` takes from it what mail programs and chat services
would read as markup, as a mention or as a link.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import jinja2
from msgspec import Struct, structs

from reports import wording
from reports.message import Level, Message
from reports.view.standing import Tally
from scanner.counting import counted
from scanner.verdict import Severity

ENTRIES: Final = 20
"""Entries of a section that are listed; the others are counted, and stand in the report."""
PLACES: Final = 6
"""Places of an entry that are listed."""
BEING_DRAWN: Final = "It is drawn after this message is sent, which takes seconds, or minutes for thousands of hosts."
_PACKAGE: Final = Path(__file__).parent
_TEMPLATES: Final = (_PACKAGE / "templates", _PACKAGE.parent / "templates")
"""Where templates are, in an installed package and in a checkout. `reports.render` would bring all that draws reports
into the service, which lives for months."""


class Entry(Struct, frozen=True):
    """One thing to be told: what, how bad, and where; what it comes from and what to do, where there is that to say.

    `rule` is the id of the rule that it is about, `was` how bad it was told to be before. It is for receivers who want
    to hear of what is as bad as `told_from` (or `severity`) or worse.
    """

    text: str
    severity: Severity | None = None
    places: tuple[str, ...] = ()
    cause: str = ""
    advice: str = ""
    rule: str = ""
    was: Severity | None = None
    told_from: Severity | None = None

    @property
    def listed(self) -> tuple[str, ...]:
        """The places that are listed."""
        return self.places[:PLACES]

    @property
    def more(self) -> int:
        """How many are not."""
        return max(0, len(self.places) - PLACES)

    @property
    def remarks(self) -> tuple[tuple[str, str], ...]:
        """What else there is to say, with what it is called."""
        return tuple((name, text) for name, text in (("Cause", self.cause), ("To do", self.advice)) if text)

    @property
    def mark(self) -> str:
        """The severity in a word, and the one before where it was another; empty where there is none."""
        if self.severity is None:
            return ""
        was = f" (was {str(wording.SEVERITIES[self.was]).lower()})" if self.was not in {None, self.severity} else ""
        return f"{wording.SEVERITIES[self.severity]}{was}"


class Section(Struct, frozen=True):
    """Everything of one kind. `event` is the configuration's word for it; `heading` and `summary` are people's."""

    event: str
    level: Level
    heading: str
    summary: str
    entries: tuple[Entry, ...]

    @property
    def listed(self) -> tuple[Entry, ...]:
        """The entries that are listed, the worst first."""
        ranked = sorted(self.entries, key=lambda entry: -(entry.severity.rank if entry.severity else 0))
        return tuple(ranked[:ENTRIES])

    @property
    def more(self) -> int:
        """How many are not."""
        return max(0, len(self.entries) - ENTRIES)


class EnvironmentSummary(Struct, frozen=True):
    """The counts of one environment."""

    environment: str
    targets: int
    unreachable: int
    total: Tally


class Notification(Struct, frozen=True):
    """What there is to tell of one run. `links` are addresses of the reports, by their format.

    Where they are `being_drawn`, `reports` are not there yet, and the links lead nowhere yet.
    """

    schedule: str
    run_id: str
    moment: datetime
    sections: tuple[Section, ...] = ()
    environments: tuple[EnvironmentSummary, ...] = ()
    reports: tuple[Path, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    being_drawn: bool = False


_BY_SEVERITY = frozenset({"new-failure", "worse", "better", "fixed", "indeterminate"})
_ORDER = (
    "run-failed", "new-failure", "worse", "indeterminate", "coverage", "certificate-changed", "expiring",
    "waiver-expiring", "better", "fixed", "certificate-renewed",
)  # fmt: skip
_IMPLIED_BY: Final = {"worse": "new-failure", "better": "fixed"}
"""Whoever wants to hear of failures wants to hear that one became as bad as they ask for."""
_LONGEST: Final = 400
"""Characters of a sentence in which a host may have its say."""


def compose(notification: Notification, *, on: Collection[str], severity: Severity, attach: bool) -> Message | None:
    """What one receiver is told: None where nothing of what they asked for happened.

    Args:
        notification: everything that happened.
        on: the events that they are told of.
        severity: from which severity on they are told of failures.
        attach: whether the reports come along.
    """
    chosen = [
        chosen for section in notification.sections if _wanted(section, on) and (chosen := _above(section, severity))
    ]
    if not chosen:
        return None
    levels = list(Level)
    chosen.sort(key=lambda section: (levels.index(section.level), _ORDER.index(section.event)))
    level = chosen[0].level
    title = f"Nightseal, {notification.schedule}: {'; '.join(section.summary for section in chosen)}"
    return _message(structs.replace(notification, sections=tuple(chosen)), level, title, attach=attach)


def compose_digest(notification: Notification, *, attach: bool) -> Message:
    """How things stand, where a receiver has nothing else to be told."""
    failed = sum(summary.total.failed for summary in notification.environments)
    # What happened may be nothing that this receiver asked for.
    unchanged = "" if notification.sections else "nothing changed, "
    title = f"Nightseal, {notification.schedule}: {unchanged}{failed} not met"
    return _message(structs.replace(notification, sections=()), Level.INFO, title, attach=attach)


def inert(text: str) -> str:
    """A text in which a host may have its say, of which no receiver makes a link, a mention, a style or an image."""
    shortened = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    for active, harmless in _INERT:
        shortened = active.sub(harmless, shortened)
    return shortened


_INERT: Final = (
    (re.compile(r"(?i)\bhttp(s?)://"), r"hxxp\1://"),
    (re.compile(r"(?i)\b(javascript|data|file|mailto|tel):"), r"\1 :"),
    (re.compile(r"<"), "‹"),
    (re.compile(r">"), "›"),
    (re.compile(r"([@#])(?=\w)"), "\\1\u200b"),
    (re.compile(r"([\[\]()])(?=[\[\]()])"), "\\1 "),
    (re.compile(r"\*"), "∗"),
    (re.compile(r"`"), "ˋ"),
    (re.compile(r"~"), "∼"),
    (re.compile(r"\|"), "¦"),
    (re.compile(r"(?<!\w)_|_(?!\w)"), "‗"),
)
"""What chat services and mail programs act upon, and what stands for it."""


def _wanted(section: Section, on: Collection[str]) -> bool:
    return section.event in on or _IMPLIED_BY.get(section.event) in on


def _above(section: Section, severity: Severity) -> Section | None:
    if section.event not in _BY_SEVERITY:
        return section
    entries = tuple(
        entry for entry in section.entries if entry.severity is None or (entry.told_from or entry.severity) >= severity
    )
    if not entries:
        return None
    if len(entries) == len(section.entries):
        return section
    # Beside the counts of the current state, which leave nothing out.
    from_then_on = f" ({severity}{'' if severity is max(Severity) else ' or worse'})"
    said = re.sub(r"(?=,|$)", from_then_on, recounted(section, entries), count=1)
    return structs.replace(section, entries=entries, summary=said)


def recounted(section: Section, entries: Sequence[Entry]) -> str:
    """A section's summary where entries or places of it are left out: how many there are, and how bad the worst is."""
    # The number in front counts entries' places.
    places = sum(max(1, len(entry.places)) for entry in entries)
    worst = max((entry.severity for entry in entries if entry.severity), default=None)
    said = re.sub(r", worst \w+", f", worst {worst}", section.summary) if worst else section.summary
    return re.sub(
        r"\d+( (?:new failure|certificate|waiver)s?)?", lambda found: _recounted(places, found[1]), said, count=1
    )


def _recounted(number: int, noun: str | None) -> str:
    return counted(number, noun.strip().removesuffix("s")) if noun else str(number)


def _message(notification: Notification, level: Level, title: str, *, attach: bool) -> Message:
    files = tuple(str(path) for path in notification.reports) if attach else ()
    return Message(level, title, _text(notification), _html(notification, title, level), files)


def _text(notification: Notification) -> str:
    lines = [
        f"Run {notification.run_id}" if notification.run_id else "No run",
        f"{notification.moment:%Y-%m-%d %H:%M} UTC",
        "",
    ]
    for section in notification.sections:
        lines.append(section.heading)
        for entry in section.listed:
            mark = f"{entry.mark}: " if entry.mark else ""
            rule = f" [{entry.rule}]" if entry.rule else ""
            lines.append(f"- {mark}{entry.text}{rule}")
            lines += [f"    {place}" for place in entry.listed]
            if entry.more:
                lines.append(f"    and {entry.more} more")
            lines += [f"    {name}: {text}" for name, text in entry.remarks]
        if section.more:
            lines.append(f"- and {section.more} more, in the report")
        lines.append("")
    if notification.environments:
        lines.append("Current state, each address counted")
        lines += [f"- {_counts(summary)}" for summary in notification.environments]
        lines.append("")
    lines += [f"Report ({name}): {address}" for name, address in notification.links]
    if notification.links and notification.being_drawn:
        lines.append(BEING_DRAWN)
    return "\n".join(lines).rstrip() + "\n"


def _counts(summary: EnvironmentSummary) -> str:
    parts = [counted(summary.targets, "target")]
    parts += [f"{summary.unreachable} unreachable"] if summary.unreachable else []
    parts.append(summary.total.said)
    return f"{summary.environment}: {', '.join(parts)}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["counted"] = counted
    return environment


def _html(notification: Notification, title: str, level: Level) -> str:
    template = _environment().get_template("notification.html")
    return template.render(
        notification=notification, title=title, level=level, severities=Severity, being_drawn=BEING_DRAWN
    )
