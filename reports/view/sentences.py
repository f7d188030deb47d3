"""What rules said, said again in the language of the report.

The history keeps what a verdict said as one English sentence, because that is what was judged at the time. Its words
are the rule's, with values filled in: these are read out of it again and filled into the catalogue's sentence. Where
the rule has another sentence by now, `former_sentences.json` has those that it had, by rule and reason: add to it when
you change one. What cannot be read so stays English and is marked so.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING, Final

from reports.language import English, current, gettext, number, short_day, told
from reports.view.enforcement_settings import setting_in_words
from reports.wording import FAILURES, counted
from scanner.evidence import FailureReason
from scanner.verdict import Verdict

if TYPE_CHECKING:
    from scanner.rules import Rule

PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_LINE: Final = "{line}"
"""Where the sentences of rules say which setting decided."""
_SLUGS: Final = {reason.value: reason for reason in FailureReason}
_NOT_OBSERVED: Final = "It could not be observed: "
_DAYS: Final = re.compile(r"(\d{1,9}) days?")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MORE: Final = re.compile(r" and (\d{1,9}) more$")
_BITS: Final = re.compile(r"^([a-z0-9]+) of (\d{1,9}) bits\b")


def retold(verdict: Verdict, rules: Mapping[str, Rule]) -> str:
    """What a verdict says, in the language that is spoken."""
    return retell(rules.get(verdict.rule), verdict.reason, verdict.message)


def retell(rule: Rule | None, reason: str, message: str) -> str:
    """The message of a reason of a rule, in the language that is spoken; marked as English where that is not known."""
    sentence = rule.reasons[reason].sentence if rule is not None and reason in rule.reasons else message
    if current().is_source:
        return _without_lines(rule, reason, sentence, message)
    translated = told(sentence)
    if isinstance(translated, English):
        return English(message)
    values = values_of(rule, reason, message)
    return English(message) if values is None else filled(translated, values)


def _without_lines(rule: Rule | None, reason: str, sentence: str, message: str) -> str:
    """A message that names the setting which decided in words, where an older version quoted its line."""
    values = values_of(rule, reason, message) if _LINE in sentence and "[[" in message else None
    return filled(sentence, {**values, "line": setting_in_words(values["line"])}) if values else message


def values_of(rule: Rule | None, reason: str, message: str) -> dict[str, str] | None:
    """What was filled into a present or former sentence of a rule to make a message; None where neither fits."""
    if rule is None or reason not in rule.reasons:
        return values_in(message, message)
    known = (rule.reasons[reason].sentence, *former_sentences().get(rule.id, {}).get(reason, ()))
    return next((values for sentence in known if (values := values_in(sentence, message)) is not None), None)


@functools.cache
def former_sentences() -> dict[str, dict[str, list[str]]]:
    """Sentences that reasons of rules had in earlier versions, by rule and reason."""
    text = (resources.files("reports.view") / "former_sentences.json").read_text("utf-8")
    sentences: dict[str, dict[str, list[str]]] = json.loads(text)
    return sentences


def filled(sentence: str, values: Mapping[str, str]) -> str:
    """A sentence with its placeholders replaced; what stands in them is said in the language, as far as that goes."""
    return PLACEHOLDER.sub(
        lambda match: (setting_in_words if match[0] == _LINE else _value)(values[match[1]]), sentence
    )


def values_in(sentence: str, message: str) -> dict[str, str] | None:
    """What was filled into the placeholders of a sentence to make a message of it; None where it was not made of it."""
    match = _pattern(sentence).fullmatch(message)
    return match.groupdict() if match else None


@functools.cache
def _pattern(sentence: str) -> re.Pattern[str]:
    seen: set[str] = set()
    pattern = ""
    for index, part in enumerate(PLACEHOLDER.split(sentence)):
        if index % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            seen.add(part)
            pattern += f"(?P<{part}>.*?)"
    return re.compile(pattern, re.DOTALL)


def _value(value: str) -> str:
    """A value inside a sentence: slugs, days, dates, sizes and cut lists are said as the language does."""
    if current().is_source:
        return value
    if failure := _failure_in_words(value):
        return failure
    if days := _DAYS.fullmatch(value):
        return counted(int(days[1]), "day")
    if _DATE.fullmatch(value):
        with contextlib.suppress(ValueError):  # a host may say what looks like a date
            return short_day(date.fromisoformat(value))
    sized = _BITS.sub(lambda found: gettext("%(kind)s of %(bits)s bits") % {"kind": found[1], "bits": found[2]}, value)
    return _MORE.sub(lambda found: f" {gettext('and %(number)s more') % {'number': number(int(found[1]))}}", sized)


def _failure_in_words(text: str) -> str | None:
    """A failure's reason in words, with the detail behind it; None where the text does not begin with one."""
    slug, space, detail = text.partition(" ")
    return f"{FAILURES[_SLUGS[slug]]}{space}{detail}" if slug in _SLUGS else None


def reason_in_words(message: str, rule: Rule | None = None, reason: str = "") -> str:
    """The message of an indeterminate verdict as a clause: `no answer came in time (5 s)`, not `timed-out (5 s)`."""
    text = message.removeprefix(_NOT_OBSERVED).removesuffix(".")
    if failure := _failure_in_words(text):
        return failure
    if text == message.removesuffix("."):
        again = retell(rule, reason, message)
        shortened = again.removesuffix(".")
        return English(shortened) if isinstance(again, English) else shortened
    return told(text)
