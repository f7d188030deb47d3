"""The rehearsal of a release finds what would be wrong with it."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest

from release import check
from release.steps import ReleaseError, copy_of_checkout
from tests.conftest import REPOSITORY

DAY = dt.date(2026, 12, 1)
CHANGES = "# Changes\n\n## Unreleased\n\n### Added\n- a\n\n## 0.1.0 - 2026-01-01\n- b\n"


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", "0.2", "0.2.0rc1", "v0.2.0", "0.3.0"])
def test_a_version_that_cannot_be_next_is_refused(version: str) -> None:
    with pytest.raises(ReleaseError):
        check.check_order("0.1.0", version, ["v0.1.0", "v0.3.0"])
    check.check_order("0.1.0", "0.2.0", ["v0.1.0"])


def test_what_is_unreleased_becomes_the_versions() -> None:
    made = check.closed(CHANGES, "0.2.0", DAY)

    assert made.startswith("# Changes\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n### Added\n- a\n")
    for wrong in (
        made,  # closed already
        CHANGES.replace("- a\n", ""),  # nothing to tell
        CHANGES.replace("## Unreleased\n", ""),
    ):
        with pytest.raises(ReleaseError):
            check.closed(wrong, "0.2.0", DAY)


def test_the_version_stands_in_one_place(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    copy_of_checkout(folder)
    before = check.version_of(REPOSITORY)
    # Right after a release nothing is unreleased yet.
    changelog = (folder / check.CHANGELOG).read_text("utf-8")
    (folder / check.CHANGELOG).write_text(changelog.replace("## Unreleased\n", "## Unreleased\n- a\n"), "utf-8")
    check.prepare(folder, "9.8.7", DAY)

    assert check.version_of(folder) == "9.8.7"
    assert f'"{before}"' not in (folder / "pyproject.toml").read_text("utf-8")
    for document in (folder / "README.md", folder / "docs" / "how-to" / "zones.md"):
        assert "./nightseal-9.8.7-py3-none-any.whl" in document.read_text("utf-8")
    named = {
        version
        for document in (*folder.glob("*.md"), *(folder / "docs").rglob("*.md"))
        for version in re.findall(r"nightseal-([0-9.]+)-py3", document.read_text("utf-8"))
    }
    assert before not in named, "a document names a file of the version before"
    install, _, upgrade = (folder / "docs" / "operations.md").read_text("utf-8").partition("## Upgrade")
    assert "./nightseal-9.8.7-py3-none-any.whl" in install
    assert f"nightseal-{before}-py3" not in install + upgrade
