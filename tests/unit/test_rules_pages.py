"""The pages of docs/rules are what the registry says, and docs/adding-a-rule.md names what exists."""

from __future__ import annotations

import re
from pathlib import Path

from scanner.rules import all_rules
from scanner.rules.registry.pages import pages, write

_DOCS = Path(__file__).parents[2] / "docs"


def test_every_rule_has_its_page_and_every_page_is_current() -> None:
    wanted = pages()
    assert set(wanted) == {f"{rule_id}.md" for rule_id in all_rules()} | {"README.md"}
    there = {path.name: path.read_text("utf-8") for path in (_DOCS / "rules").glob("*.md")}
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    assert not stale, "run: python -m scanner.rules.registry.pages docs/rules"


def test_writing_takes_away_the_pages_of_rules_that_are_no_more(tmp_path: Path) -> None:
    (tmp_path / "proto.no-ssl1.md").write_text("old", encoding="utf-8")
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(pages())


def test_the_guide_for_new_rules_names_files_that_exist() -> None:
    text = (_DOCS / "adding-a-rule.md").read_text("utf-8")
    named = re.findall(r"`((?:scanner|tests|docs)/[\w./-]+)`", text)
    assert named
    for name in named:
        assert (_DOCS.parent / name).exists(), name
