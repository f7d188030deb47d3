"""Names are what they look like: nothing in them is unseen, turns them round, or has a meaning of its own in scopes."""

from __future__ import annotations

import functools
from pathlib import Path

import jsonschema
import pytest

from scanner.config.form import ConfigForm
from scanner.config.loading import parse
from scanner.errors import ConfigError


@functools.cache
def schema() -> jsonschema.Draft202012Validator:
    """What editors check a file by."""
    published = ConfigForm.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(published)
    return jsonschema.Draft202012Validator(published)


CONFIG = '[[environment]]\nname = "{}"\nkind = "on-premises"\n'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("\\u202Enoitcudorp", "holds U+202E (RIGHT-TO-LEFT OVERRIDE), which is invisible"),
        ("pro\\u200Fduction", "holds U+200F (RIGHT-TO-LEFT MARK), which is invisible"),
        ("pro\\u2066duction", "holds U+2066 (LEFT-TO-RIGHT ISOLATE), which is invisible"),
        ("production\\u007F", "holds U+007F (a control character), which is invisible"),
        ("production\\u0085", "holds U+0085 (a control character), which is invisible"),
        ("pro\\u200Bduction", "holds U+200B (ZERO WIDTH SPACE), which is invisible"),
        ("pro\\u00ADduction", "holds U+00AD (SOFT HYPHEN), which is invisible"),
        ("\\uFEFFproduction", "holds U+FEFF (ZERO WIDTH NO-BREAK SPACE), which is invisible"),
        ("pro\\u2028duction", "holds U+2028 (LINE SEPARATOR), which is invisible"),
        ("a\\tb", "holds U+0009 (a control character), which is invisible"),
        ("pro/duction", 'holds "/", which has a special meaning in scopes'),
        ("prod*", 'holds "*", which has a special meaning in scopes'),
        (" production", "begins or ends with a space"),
        ("production\\u00A0", "begins or ends with a space"),
    ],
)
def test_a_name_that_is_not_what_it_looks_like_is_refused(name: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(CONFIG.format(name), source="config.toml", folder=Path())

    assert ".name: " + expected in str(caught.value)
    assert "pattern" not in str(caught.value)


@pytest.mark.parametrize("name", ["production", "Produção", "本番", "בדיקה", "tier 1 (EU), blue-green_2.0"])
def test_names_of_any_language_are_taken(name: str) -> None:
    config = parse(CONFIG.format(name), source="config.toml", folder=Path())

    assert config.inventory.environments[0].name == name
    schema().validate({"environment": [{"name": name, "kind": "paas"}]})


@pytest.mark.parametrize("character", ["\\u202E", "\\u200F", "\\u2066", "\\u007F", "\\u001B"])
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("report.title", '[report]\ntitle = "HTTPS{0}"'),
        ("report.organisation", '[report]\norganisation = "ACME{0}"'),
        ("report.classification", '[report]\nclassification = "Secret{0}"'),
        ("report.prepared_by", '[report]\nprepared_by = "Jane{0}"'),
        ("scan.vantage", '[scan]\nvantage = "dmz{0}"'),
        ("scan.contact", '[scan]\ncontact = "a@example.com{0}"'),
        ("owner[a].contact", '[[owner]]\nname = "a"\ncontact = "a@example.com{0}"'),
        ("schedule[nightly{0}].name", '[[schedule]]\nname = "nightly{0}"\ncron = "0 3 * * *"'),
        (
            "waiver[1].reason",
            '[[waiver]]\nrule = "*"\nscope = "*"\nreason = "later{0}"\nowner = "a"\nexpires = 2026-12-31',
        ),
        (
            "environment[e].endpoint[a.example:443].paths[1]",
            '[[environment]]\nname = "e"\nkind = "on-premises"\n'
            '[[environment.endpoint]]\nhost = "a.example"\nrole = "monitoring"\npaths = ["/a{0}b"]',
        ),
    ],
)
def test_what_stands_in_reports_cannot_turn_their_text_around(key: str, text: str, character: str) -> None:
    with pytest.raises(ConfigError, match="which is invisible") as refused:
        parse(text.format(character), source="c.toml", folder=Path())
    assert key.partition("{")[0] in str(refused.value)


@pytest.mark.parametrize("key", ["scan.vantage", "scan.contact", "defaults.contact"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "is empty: write something, or leave the key out"),
        ("  ", "is empty: write something, or leave the key out"),
        ("a\\nb", "holds U+000A (a break of the line or a tab): write it on one line"),
        ("a\\rb", "holds U+000D (a break of the line or a tab): write it on one line"),
        ("a\\u2028b", "holds U+2028 (a break of the line or a tab): write it on one line"),
    ],
)
def test_a_line_is_one_line_and_says_something(key: str, value: str, expected: str) -> None:
    section, _, name = key.partition(".")
    with pytest.raises(ConfigError) as refused:
        parse(f'[{section}]\n{name} = "{value}"\n', source="c.toml", folder=Path())
    assert str(refused.value) == f"c.toml:2: {key}: {expected}"


def test_letters_of_other_scripts_and_line_breaks_are_text() -> None:
    waiver = 'rule = "*"\nscope = "*"\nreason = "\\u0645\\u06CC\\u200C\\u062E\\u0648\\u0627\\u0647\\u0645\\nnext year"\nowner = "a"'
    assert parse(
        f'[report]\ntitle = "\\u05D0\\u05D1"\n[[waiver]]\n{waiver}\nexpires = 2026-12-31',
        source="c.toml",
        folder=Path(),
    ).waivers
