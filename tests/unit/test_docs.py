"""The documents say what is there: commands, rules, keys, links."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from scanner import __version__
from scanner.app.cli import COMMANDS
from scanner.config.form import ConfigForm
from scanner.formats import FORMATS
from scanner.lab.cases import CASES
from tests.conftest import REPOSITORY

DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]

    broken = [
        target for target in targets if target and "://" not in target and not (document.parent / target).exists()
    ]
    assert not broken


def test_the_two_commands_come_first() -> None:
    lines = (REPOSITORY / "README.md").read_text("utf-8").splitlines()
    block = lines.index("```")

    assert lines[block + 1].startswith("make demo ")
    assert lines[block + 2].startswith("make test ")
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    assert "\ndemo:" in makefile
    assert "\ntest:" in makefile


def test_every_command_is_in_the_readme() -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")

    assert [name for name in COMMANDS if f"nightseal {name}" not in text and f"`{name}`" not in text] == []


def test_the_shipped_configuration_shows_every_section() -> None:
    text = (REPOSITORY / "config.toml").read_text("utf-8")
    missing = [
        name
        for name in ConfigForm.model_fields
        if not re.search(rf"^\s*#?\s*(\[+{name}(\]|\.)|{name} = )", text, flags=re.MULTILINE)
    ]

    assert not missing


def test_the_demo_scans_servers_that_exist() -> None:
    hosts = {case.host for case in CASES}
    text = (REPOSITORY / "config.toml").read_text("utf-8")

    assert [host for host in re.findall(r'^\s*host = "([^"]+)"', text, flags=re.MULTILINE) if host not in hosts] == []


def test_the_changelog_names_what_is_coming_or_this_version() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")

    assert re.search(rf"^## (Unreleased|\[?{re.escape(__version__)}\]?)", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("group", "document"), [("history", "history.md"), ("diff", "history.md"), ("verify", "reports.md")]
)
def test_every_question_is_in_the_document_about_it(group: str, document: str) -> None:
    command = importlib.import_module(COMMANDS[group].module).command
    text = (REPOSITORY / "docs" / document).read_text("utf-8")
    names = [f"nightseal {group} {child}" for child in getattr(command, "commands", {})] or [f"nightseal {group}"]

    assert [name for name in names if name not in text] == []


def test_every_format_is_in_the_document_about_reports() -> None:
    text = (REPOSITORY / "docs" / "reports.md").read_text("utf-8")

    assert [name for name in FORMATS if f"| `{name}` |" not in text] == []


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", (REPOSITORY / "docs" / "security.md").read_text("utf-8")))

    assert len(named) > 35
    assert sorted(name for name in named if not _is_a_test(name)) == []


def _is_a_test(name: str) -> bool:
    """Whether `tests/FILE.py::test_name` is a function of that file."""
    path, _, function = name.partition("::")
    file = REPOSITORY / path
    return file.is_file() and re.search(rf"^ *def {function}\(", file.read_text("utf-8"), re.MULTILINE) is not None


def test_a_test_that_is_not_there_is_not_taken_for_one() -> None:
    assert _is_a_test("tests/unit/test_docs.py::test_links_lead_somewhere")
    for wrong in ("tests/unit/test_docs.py", "tests/unit/test_docs.py::test_links", "tests/unit/none.py::test_links"):
        assert not _is_a_test(wrong)


def test_every_claim_of_the_threat_model_names_its_test_or_that_there_is_none() -> None:
    rows = re.findall(r"^\| (.+) \|$", (REPOSITORY / "docs" / "security.md").read_text("utf-8"), re.MULTILINE)
    claims = [cells for row in rows if len(cells := row.split(" | ")) == 3 and cells[2] != "test"]

    assert len(claims) > 25
    assert [cells[0] for cells in claims if "`tests/" not in cells[2] and not cells[2].startswith("none: ")] == []


def test_the_classifiers_name_the_pythons_that_were_seen_to_pass() -> None:
    page = (REPOSITORY / "docs" / "releasing.md").read_text("utf-8")
    rows = re.findall(r"^\| (3\.\d+(?:, 3\.\d+)*) \| (.+) \|$", page, re.MULTILINE)
    seen = {
        version for versions, where in rows if not where.startswith("only in CI") for version in versions.split(", ")
    }
    classifiers = re.findall(
        r'"Programming Language :: Python :: (3\.\d+)"', (REPOSITORY / "pyproject.toml").read_text("utf-8")
    )

    assert len(rows) >= 3
    assert set(classifiers) == seen
