"""The pages of docs/rules are what the registry says, and docs/adding-a-rule.md names what exists."""

from __future__ import annotations

import itertools
import re
import tomllib
from importlib import resources
from pathlib import Path

from scanner.rules import all_rules
from scanner.rules.registry.pages import listed, pages, write

_DOCS = Path(__file__).parents[2] / "docs"


def test_every_rule_has_its_page_and_every_page_is_current() -> None:
    wanted = pages()
    assert set(wanted) == {f"{rule_id}.md" for rule_id in all_rules()} | {"README.md"}
    there = {path.name: path.read_text("utf-8") for path in (_DOCS / "rules").glob("*.md")}
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    assert not stale, "run: make docs"


def test_a_new_rule_is_listed_after_the_others_of_its_area() -> None:
    text = (resources.files("scanner") / "policies" / "https-by-default.toml").read_text("utf-8")
    assert listed(text) == text
    for rule_id in ("vuln.freak", "proto.tls1.3", "https.node-consistency"):
        less = text.replace(f'[rules."{rule_id}"]\n', "")
        policy = tomllib.loads(listed(less))
        assert sorted(policy["rules"]) == sorted(rule.id for rule in all_rules().values() if not rule.opt_in)
        areas = [area for area, _ in itertools.groupby(rule.partition(".")[0] for rule in policy["rules"])]
        assert len(areas) == len(set(areas))
        of_area = [rule for rule in policy["rules"] if rule.partition(".")[0] == rule_id.partition(".")[0]]
        assert of_area[-1] == rule_id


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
