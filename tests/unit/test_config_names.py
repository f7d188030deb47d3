"""Names are what they look like: nothing in them is unseen, turns them round, or has a meaning of its own in scopes."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from scanner.config import parse
from scanner.config.form import ConfigForm
from scanner.errors import ConfigError

CONFIG = '[[environment]]\nname = "{}"\nkind = "on-premises"\n'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("\\u202Enoitcudorp", "holds U+202E (RIGHT-TO-LEFT OVERRIDE), which cannot be seen"),
        ("pro\\u200Fduction", "holds U+200F (RIGHT-TO-LEFT MARK), which cannot be seen"),
        ("pro\\u2066duction", "holds U+2066 (LEFT-TO-RIGHT ISOLATE), which cannot be seen"),
        ("production\\u007F", "holds U+007F (a control character), which cannot be seen"),
        ("production\\u0085", "holds U+0085 (a control character), which cannot be seen"),
        ("pro\\u200Bduction", "holds U+200B (ZERO WIDTH SPACE), which cannot be seen"),
        ("pro\\u00ADduction", "holds U+00AD (SOFT HYPHEN), which cannot be seen"),
        ("\\uFEFFproduction", "holds U+FEFF (ZERO WIDTH NO-BREAK SPACE), which cannot be seen"),
        ("pro\\u2028duction", "holds U+2028 (LINE SEPARATOR), which cannot be seen"),
        ("a\\tb", "holds U+0009 (a control character), which cannot be seen"),
        ("pro/duction", 'holds "/", which has a meaning of its own in scopes'),
        ("prod*", 'holds "*", which has a meaning of its own in scopes'),
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
    jsonschema.validate({"environment": [{"name": name, "kind": "paas"}]}, ConfigForm.model_json_schema())
