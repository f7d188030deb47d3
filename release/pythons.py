"""Run the unit tests and one scan of the lab on the Python of another Debian.

    python -m release.pythons [--keep FOLDER] SUITE…      as root, on Debian, with debootstrap

`nox` (`make pythons`) uses the interpreters of this machine; Debian has one. Its other releases have others:
trixie has 3.13, and testing the next one. debootstrap makes a root for each, with the pinned
requirements; there the unit tests run, and the demo scans its lab without network and writes both reports.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from pathlib import Path

from release.container import Image, inside, run
from release.steps import REPOSITORY, ReleaseError, call, copy_of_checkout, step, workplace

PACKAGES = "python3 python3-venv ca-certificates openssl"
REPORTS = re.compile(r"^Report: .+\.(html|pdf)$", re.MULTILINE)
COUNTED = re.compile(r"^=* ?(\d+ passed.*?) ?=*$", re.MULTILINE)


def runtime_packages() -> str:
    """What the Makefile installs for reports: said in one place."""
    found = re.search(r"^RUNTIME_PACKAGES := (.+)$", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ReleaseError("the Makefile has no RUNTIME_PACKAGES")
    return found[1]


def prepare(suite: str, folder: Path) -> Image:
    """A root of that suite with its Python, the checkout, and the pinned requirements in an environment."""
    root = folder / suite
    if not (root / "etc" / "debian_version").exists():
        call("debootstrap", "--variant=minbase", suite, root)
    # The installer of a machine writes it, debootstrap does not.
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n", "utf-8")
    image = Image(root)
    image.env |= {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    # The lists of testing are valid for a week, which a mirror may exceed; their signatures are checked all the same.
    update = "apt-get -o Acquire::Check-Valid-Until=false update -qq"
    install = f"{update} && apt-get install -y -qq --no-install-recommends {PACKAGES} {runtime_packages()}"
    run(image, ("/bin/sh", "-c", install))
    shutil.rmtree(root / "src", ignore_errors=True)  # of a checkout before, which had other files
    copy_of_checkout(root / "src")
    image.workdir = "/src"
    for command in (
        "python3 -m venv /venv",
        "/venv/bin/pip install --quiet --require-hashes -r requirements-dev.txt",
        "/venv/bin/pip install --quiet --no-deps --editable .",
    ):
        run(image, ("/bin/sh", "-c", command))
    return image


def tried(image: Image, *command: str) -> str:
    """Run a command in the image without network; return its standard output.

    Raises:
        ReleaseError: It failed; the message has the end of what it printed.
    """
    try:
        return call(*inside(image, command, network=False))
    except ReleaseError as error:
        raise ReleaseError(str(error)[-6000:]) from None


def check(suite: str, folder: Path) -> None:
    """Install, test and scan.

    Raises:
        ReleaseError: A test failed, or the demo wrote no reports.
    """
    began = time.monotonic()
    image = prepare(suite, folder)
    version = tried(image, "/venv/bin/python", "--version").strip()
    step(f"{suite}: {version}, requirements installed ({time.monotonic() - began:.0f} s)")
    printed = tried(image, "/venv/bin/python", "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "tests/unit")
    counted = COUNTED.findall(printed)
    step(f"  unit tests: {counted[-1] if counted else printed[-500:]}")
    image.workdir = "/tmp"  # noqa: S108  # of the root that was made for this
    out = tried(image, "/venv/bin/nightseal", "demo", "--quiet")
    written = set(REPORTS.findall(out))
    if written != {"html", "pdf"}:
        raise ReleaseError(f"the demo wrote {written}\n{out}")
    step(f"  the demo scanned its lab and wrote both reports ({time.monotonic() - began:.0f} s in all)")


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description="Run unit tests and one scan on the Python of other Debian releases.")
    parser.add_argument("suites", nargs="+", metavar="SUITE")
    parser.add_argument("--keep", type=Path, help="make the roots in this folder, and use those that it has")
    options = parser.parse_args()
    with workplace(options.keep) as place:
        for suite in options.suites:
            check(suite, place)


if __name__ == "__main__":
    try:
        main()
    except ReleaseError as error:
        sys.exit(f"Not on this Python: {error}")
