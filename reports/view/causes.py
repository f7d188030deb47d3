"""Failures grouped by cause: a rule and the reason for which it fails, with every place where that is so.

A list of hosts times rules is unreadable beyond a handful of hosts; causes stay as few as there are mistakes to mend.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from reports.language import English, Words, gettext, mark, told
from reports.view.index import Index, anchor_of, unique
from reports.view.model import FailureCause, FixView, Occurrence, Remedy, SourceView
from reports.view.numbering import numbers_of, told_once
from reports.view.sentences import PLACEHOLDER, filled, retell, values_of
from reports.view.servers import PROGRAMS
from reports.wording import server_heading
from scanner.verdict import Severity, Status, TargetResult, Verdict

if TYPE_CHECKING:
    from scanner.rules import Rule

_OBSERVED_AT_END = re.compile(r": \{observed\}\.$")
_UNSAID = "…"
_HEADING = 100
"""Characters of a heading, beyond which an observation is left to the table below it."""
_STAND_INS = Words[str]({"path": mark("A path")})
"""What stands for a value that differs from place to place."""
_MESSAGES_READ = 50
"""Different messages of one cause that are looked at to find the sentence that holds for all."""

_Placed = tuple[TargetResult, Verdict]


def causes_of(
    index: Index, rules: Mapping[str, Rule], urls: Mapping[str, str], servers: Sequence[str] = ()
) -> tuple[tuple[FailureCause, ...], tuple[FailureCause, ...], tuple[FailureCause, ...]]:
    """Group the failures of a run: those that count, those that only inform, and those that are waived everywhere.

    `urls` tells where a source can be read, by its text; `servers` whose remedies come first.
    """
    grouped: dict[tuple[str, str, bool], list[_Placed]] = defaultdict(list)
    for target in index.record.targets:
        for verdict in told_once(target):
            grouped[verdict.rule, verdict.reason, verdict.severity is Severity.INFO].append((target, verdict))
    numbers = numbers_of(index.record)
    failures, notes, waived = [], [], []
    taken: set[str] = set()
    shared = _shared_sentences(rules)
    for finding, placed in sorted(grouped.items(), key=lambda item: (numbers.place(item[0]), item[0])):
        cause = structs.replace(_cause(index, rules, urls, placed, taken, servers), label=numbers.label(finding))
        if (cause.rule, cause.reason) in shared:
            found = f"{cause.found.removesuffix('.')} ({cause.rule})."
            cause = structs.replace(cause, found=English(found) if isinstance(cause.found, English) else found)
        if not cause.occurrences:
            waived.append(cause)
        elif finding[2]:
            notes.append(cause)
        else:
            failures.append(cause)
    return tuple(failures), tuple(notes), tuple(waived)


def _shared_sentences(rules: Mapping[str, Rule]) -> frozenset[tuple[str, str]]:
    """Rules and reasons whose sentence other rules use too, so that it does not tell by itself what it is about."""
    users: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for rule in rules.values():
        for slug, reason in rule.reasons.items():
            if reason.status is Status.FAIL:
                users[reason.sentence].append((rule.id, slug))
    return frozenset(pair for pairs in users.values() if len(pairs) > 1 for pair in pairs)


def _cause(  # noqa: PLR0913, PLR0917  # what a cause is made of
    index: Index,
    rules: Mapping[str, Rule],
    urls: Mapping[str, str],
    placed: list[_Placed],
    taken: set[str],
    servers: Sequence[str],
) -> FailureCause:
    first = placed[0][1]
    rule = rules.get(first.rule)
    open_ones = [(target, verdict) for target, verdict in placed if verdict.waiver is None]
    counted = open_ones or placed
    return FailureCause(
        anchor=unique(anchor_of("f", f"{first.rule}-{first.reason}"), taken),
        rule=first.rule,
        reason=first.reason,
        title=told(rule.title) if rule else first.rule,
        found=found_sentence(rule, first.reason, [verdict.message for _, verdict in counted]),
        goal=first.goal,
        severity=max(verdict.severity for _, verdict in counted),
        why=told(rule.why) if rule else "",
        how=rule.how if rule else "",
        sources=_sources([verdict for _, verdict in placed], rule, urls),
        fix=_fix(rule, servers) if rule else None,
        occurrences=occurrences_of(index, open_ones),
        waived=occurrences_of(index, [(target, verdict) for target, verdict in placed if verdict.waiver is not None]),
    )


def _fix(rule: Rule, servers: Sequence[str]) -> FixView:
    """How to fix it: the programs that were seen or configured first; `chosen` leaves other programs out."""
    keys = sorted(rule.fix.servers, key=lambda key: servers.index(key) if key in servers else len(servers))
    named = tuple((server_heading(key, rule.id), rule.fix.servers[key]) for key in keys)
    chosen = tuple(server_heading(key, rule.id) for key in keys if key in servers or key not in PROGRAMS)
    return FixView(told(rule.fix.summary), named, chosen)


def _sources(verdicts: list[Verdict], rule: Rule | None, urls: Mapping[str, str]) -> tuple[SourceView, ...]:
    known = {**{str(source): source.url for source in (rule.sources if rule else ())}, **urls}
    texts = dict.fromkeys(source for verdict in verdicts for source in verdict.sources)
    return tuple(SourceView(text, known.get(text, "")) for text in texts)


def remedies_of(causes: Iterable[FailureCause]) -> tuple[Remedy, ...]:
    """Every way to mend that the causes call for and that says more than its summary, once, in their order."""
    grouped: dict[FixView, list[FailureCause]] = defaultdict(list)
    for cause in causes:
        if cause.fix is not None and cause.fix.chosen:
            grouped[cause.fix].append(cause)
    return tuple(
        Remedy(
            anchor=f"r-{number}",
            number=number,
            fix=fix,
            rules=tuple(dict.fromkeys(cause.rule for cause in members)),
            causes=tuple(cause.anchor for cause in members),
        )
        for number, (fix, members) in enumerate(grouped.items(), 1)
    )


def occurrences_of(index: Index, placed: Iterable[_Placed]) -> tuple[Occurrence, ...]:
    """Put targets of one environment together where the same was observed; the gravest and most frequent first."""
    grouped: dict[tuple[object, ...], list[_Placed]] = defaultdict(list)
    for target, verdict in placed:
        key = (target.environment, verdict.severity, verdict.observed, verdict.expected, verdict.waiver)
        grouped[key].append((target, verdict))
    found = [
        Occurrence(
            environment=members[0][0].environment,
            severity=members[0][1].severity,
            observed=members[0][1].observed,
            expected=members[0][1].expected,
            message=members[0][1].message,
            targets=tuple(dict.fromkeys(index.ref(target) for target, _ in members)),
            subjects=tuple(dict.fromkeys(verdict.subject for _, verdict in members if verdict.subject)),
            waiver=members[0][1].waiver,
        )
        for members in grouped.values()
    ]
    return tuple(sorted(found, key=lambda item: (-item.severity.rank, item.environment, -len(item.targets))))


def found_sentence(rule: Rule | None, reason: str, messages: list[str]) -> str:
    """One sentence that holds for all messages: what differs between them is left out, or becomes an ellipsis."""
    distinct = list(dict.fromkeys(messages))
    if rule is None or reason not in rule.reasons:
        return retell(None, reason, distinct[0])
    sentence = rule.reasons[reason].sentence
    if len(distinct) == 1:
        message = retell(rule, reason, distinct[0])
        return message if len(message) <= _HEADING else _without_list(told(sentence), message)
    values = _common_values(rule, reason, distinct[:_MESSAGES_READ])
    sentence = told(sentence)
    # "{path} is served in plain: {observed}. Demanded by {line}." is shortened to what can be said of all.
    while (match := re.search(r":? ?\{(\w+)\}\.?$", sentence)) and values.get(match[1]) is None and match[0][0] == ":":
        sentence = sentence[: match.start()] + "."
    parts = [part for part in re.split(r"(?<=\.) (?=[A-ZÀ-Ý])", sentence) if part]
    known = dict(_STAND_INS) | {name: value for name, value in values.items() if value is not None}
    kept = [part for part in parts if all(name in known for name in PLACEHOLDER.findall(part))]
    chosen = " ".join(kept) if kept and kept[0] == parts[0] else re.sub(r": \{\w+\}\.$", ".", parts[0])
    said = filled(chosen, defaultdict(lambda: _UNSAID, known))
    if said.count(_UNSAID) > 1 or said.startswith(_UNSAID):
        said = gettext("Not met: %(title)s.") % {"title": told(rule.title)}
    return English(said) if isinstance(sentence, English) else said


def _without_list(sentence: str, message: str) -> str:
    """A long message without what was observed, where its sentence ends in that: a list of suites is no heading."""
    match = _OBSERVED_AT_END.search(sentence)
    head = sentence[: match.start()] if match else ""
    return f"{head}." if match and "{" not in head else message


def _common_values(rule: Rule, reason: str, messages: list[str]) -> dict[str, str | None]:
    """The value of each placeholder where it is the same in all messages, else None."""
    values: dict[str, str | None] = {}
    for message in messages:
        found = values_of(rule, reason, message) or {}
        for name in PLACEHOLDER.findall(rule.reasons[reason].sentence):
            value = found.get(name)
            values[name] = value if values.get(name, value) == value else None
    return values
