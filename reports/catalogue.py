"""Gathers every message that a report can say, and brings the catalogues up to date: `python -m reports.catalogue`.

The messages are those of the templates and of this package, and the words of the rules and policies that ship: titles,
remedies, reasons, and what lies outside of a scan. Run it after a sentence was changed; a test fails until then. What
is new has an empty translation, for a translator to fill; what is gone is dropped.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from reports.language import CATALOGUE, LOCALES, SOURCE_LANGUAGE, known_languages
from reports.templating import templates_folder
from scanner.policy import Policy, builtin_names, load
from scanner.rules import Rule, all_rules
from scanner.verdict import Status

_PACKAGE: Final = Path(__file__).parent
_KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "mark": None,
    "mark_plural": (1, 2),
}
_SAID: Final = frozenset({Status.FAIL, Status.INDETERMINATE, Status.NOT_APPLICABLE})
"""What a requirement that is met says is counted in a report, not said."""
_WIDTH: Final = 110


def messages() -> Catalog:
    """Everything that a report can say."""
    catalogue = Catalog(charset="utf-8", fuzzy=False)
    for path in sorted(templates_folder().rglob("*.html")):
        _extract(catalogue, path, "jinja2", f"templates/{path.relative_to(templates_folder())}")
    for path in sorted(_PACKAGE.rglob("*.py")):
        if path != Path(__file__):
            _extract(catalogue, path, "python", f"reports/{path.relative_to(_PACKAGE)}")
    for rule in all_rules().values():
        for text in _words_of_rule(rule):
            catalogue.add(text, locations=[(f"rule:{rule.id}", 0)])
    for policy_id in builtin_names():
        for text in _words_of_policy(load(policy_id)):
            catalogue.add(text, locations=[(f"policy:{policy_id}", 0)])
    return catalogue


def _extract(catalogue: Catalog, path: Path, method: str, name: str) -> None:
    options = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"} if method == "jinja2" else {}
    found = extract_from_file(method, path, keywords=_KEYWORDS, comment_tags=("Translators:",), options=options)
    for _, message, comments, context in found:
        catalogue.add(message, locations=[(name, 0)], auto_comments=comments, context=context)


def _words_of_rule(rule: Rule) -> Iterator[str]:
    yield rule.title
    yield rule.why
    yield rule.fix.summary
    yield from (reason.sentence for reason in rule.reasons.values() if reason.status in _SAID)


def _words_of_policy(policy: Policy) -> Iterator[str]:
    yield policy.title
    if policy.description:
        yield policy.description
    for item in policy.out_of_scope:
        yield item.requirement
        yield item.reason
    yield from policy.dropped.values()


def updated(path: Path, found: Catalog) -> Catalog:
    """A catalogue with the messages of today and the translations that it has."""
    with path.open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    catalogue.update(found, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    return catalogue


def write(file: IO[bytes], catalogue: Catalog) -> None:
    """Write a catalogue as it is kept: without what changes with every template's lines or with Babel's version."""
    written = io.BytesIO()
    write_po(written, catalogue, width=_WIDTH, include_lineno=False, ignore_obsolete=True)
    file.write(re.sub(rb'(?m)^"Generated-By: .*\n', b"", written.getvalue()))


def main() -> None:
    """Bring every catalogue up to date, and say what is left to translate."""
    found = messages()
    for name in known_languages():
        if name == SOURCE_LANGUAGE:
            continue
        path = LOCALES / name / CATALOGUE
        catalogue = updated(path, found)
        with path.open("wb") as file:
            write(file, catalogue)
        missing = sum(1 for message in catalogue if message.id and not translated(message))
        sys.stdout.write(f"{path}: {len(catalogue)} messages, {missing} to translate\n")


def translated(message: Message) -> bool:
    """Whether a message has a translation, in all of its forms, that somebody looked at."""
    forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return all(forms) and not message.fuzzy


if __name__ == "__main__":
    main()
