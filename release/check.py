"""Rehearse a release, or prepare one.

    python -m release.check VERSION             rehearses, in a copy: nothing here is changed
    python -m release.check VERSION --prepare   the same checks, and then writes the version and the changelog's section

The version stands in one place, `scanner/__init__.py`. A rehearsal makes a copy of the checkout, sets the version,
closes the changelog's section, and does with the copy what a release does: tests of older versions' files, every word
translated, licences, the audit, and the distributions of that version.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
import tempfile
from pathlib import Path

from release import audit, licences
from release.steps import REPOSITORY, ReleaseError, call, copy_of_checkout, step

VERSION_FILE = Path("scanner/__init__.py")
CHANGELOG = Path("CHANGELOG.md")
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_UNRELEASED = "## Unreleased\n"


def version_of(folder: Path) -> str:
    """The version that a checkout has.

    Raises:
        ReleaseError: It has none, or several.
    """
    found = _VERSION.findall((folder / VERSION_FILE).read_text("utf-8"))
    if len(found) != 1:
        raise ReleaseError(f"{VERSION_FILE} says {len(found)} versions")
    return str(found[0])


def number(version: str) -> tuple[int, ...]:
    """A version as numbers.

    Raises:
        ReleaseError: It is not MAJOR.MINOR.PATCH.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ReleaseError(f"{version} is not MAJOR.MINOR.PATCH")
    return tuple(map(int, version.split(".")))


def check_order(now: str, then: str, tags: list[str]) -> None:
    """Check that the new version comes after the present one, and was not released before.

    Raises:
        ReleaseError: It does not, or it was.
    """
    if number(then) <= number(now):
        raise ReleaseError(f"{then} does not come after {now}")
    if f"v{then}" in tags:
        raise ReleaseError(f"the tag v{then} is there already")


def closed(changelog: str, version: str, day: dt.date) -> str:
    """The changelog with what is unreleased under the version, and an empty section above it.

    Raises:
        ReleaseError: Nothing is unreleased, or the version has a section already.
    """
    if re.search(rf"^## \[?{re.escape(version)}\b", changelog, re.MULTILINE):
        raise ReleaseError(f"{CHANGELOG} has a section for {version} already")
    if changelog.count(_UNRELEASED) != 1:
        raise ReleaseError(f'{CHANGELOG} needs one heading "{_UNRELEASED.strip()}"')
    section = changelog.partition(_UNRELEASED)[2].partition("\n## ")[0]
    if not re.search(r"^- ", section, re.MULTILINE):
        raise ReleaseError(f"{CHANGELOG} tells nothing that is unreleased")
    return changelog.replace(_UNRELEASED, f"{_UNRELEASED}\n## {version} - {day:%Y-%m-%d}\n")


def prepare(folder: Path, version: str, day: dt.date) -> None:
    """Write the version, everywhere where the text of a document names this version's files, and the changelog."""
    now = version_of(folder)
    changelog = (folder / CHANGELOG).read_text("utf-8")
    (folder / CHANGELOG).write_text(closed(changelog, version, day), "utf-8")
    documents = (path.relative_to(folder) for path in (*folder.glob("*.md"), *(folder / "docs").rglob("*.md")))
    for name in (VERSION_FILE, *(name for name in documents if name != CHANGELOG)):
        text = (folder / name).read_text("utf-8")
        text = _VERSION.sub(f'__version__ = "{version}"', text)
        text = text.replace(f"nightseal-{version}-py3", f"nightseal-{following(version)}-py3")
        (folder / name).write_text(text.replace(f"nightseal-{now}-py3", f"nightseal-{version}-py3"), "utf-8")


def following(version: str) -> str:
    """The next minor version: what the section on upgrades names."""
    major, minor, _ = number(version)
    return f"{major}.{minor + 1}.0"


def tests(folder: Path) -> None:
    """Run what must hold of a release, in a folder: every word translated, and the files of older versions."""
    python = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for what, arguments in (
        ("every word of the reports and rules is translated", ["-m", "release", "tests/unit", "tests/reports"]),
        ("documents name what is there", ["tests/unit/test_docs.py"]),
        ("nothing else depends on the version", ["tests/golden", "tests/packaging/test_release_check.py"]),
        (
            "what older versions wrote is read",
            ["tests/packaging/test_upgrade.py", "tests/unit/test_stored_evidence.py"],
        ),
    ):
        last = call(*python, *arguments, cwd=folder).strip().splitlines()[-1]
        step(f"  {what}: {last}")


def rehearse(version: str) -> None:
    """Do in a copy all that a release does.

    Raises:
        ReleaseError: Something is missing or wrong.
    """
    now, today = version_of(REPOSITORY), dt.datetime.now(dt.UTC).date()
    check_order(now, version, call("git", "tag").split())
    step(f"From {now} to {version}, {today}:")
    if problems := licences.problems(licences.shipped()):
        raise ReleaseError("\n".join(problems))
    step("  licences are compatible")
    found = audit.audit()
    if found.vulnerable:
        raise ReleaseError("\n".join(found.vulnerable))
    step(f"  pip-audit: {found.verdict}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "checkout"
        copy_of_checkout(folder)
        prepare(folder, version, today)
        step(f"  {CHANGELOG} has a section for {version}, and {VERSION_FILE} the version")
        # The copy's distributions are made from a commit of their own.
        for command in (
            ["init", "--quiet"],
            ["add", "--all"],
            ["commit", "--quiet", "--message", f"release: {version}"],
        ):
            call("git", "-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", *command, cwd=folder)
        tests(folder)
        for line in call(sys.executable, "-m", "release.dist", folder / "dist", cwd=folder).splitlines():
            step(f"  {line}")
        if not (folder / "dist" / f"nightseal-{version}-py3-none-any.whl").is_file():
            raise ReleaseError(f"the wheel is not of version {version}")


NEXT = """\
What is left to do by hand:
  git commit -am "release: {version}" && git tag --sign v{version}
  make dist
  gpg --armor --detach-sign --output dist/SHA256SUMS.asc dist/SHA256SUMS
  publish dist/ with the tag; then keep fixtures of {version} (docs/releasing.md)"""


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description="Rehearse or prepare a release.")
    parser.add_argument("version")
    parser.add_argument(
        "--prepare", action="store_true", help="write the version and the changelog here, after the checks"
    )
    options = parser.parse_args()
    rehearse(options.version)
    if options.prepare:
        if call("git", "status", "--porcelain").strip():
            raise ReleaseError("there are changes that are not committed")
        prepare(REPOSITORY, options.version, dt.datetime.now(dt.UTC).date())
        step(NEXT.format(version=options.version))
    else:
        step("Rehearsed; nothing here was changed.")


if __name__ == "__main__":
    try:
        main()
    except ReleaseError as error:
        sys.exit(f"No release: {error}")
