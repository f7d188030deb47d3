"""Do on a new machine what the README tells a stranger to do, line by line.

    python -m release.newcomer [--test] [--keep FOLDER]      as root, on Debian, with debootstrap

debootstrap makes a Debian 12 that has what the README asks for and nothing else. There `make demo` runs in a clone of
what is committed, and each line under "Install" installs a wheel or the clone, by that tool; what it installed scans,
and writes both reports. With `--test`, `make test` runs there too, which takes as long as all tests take.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from release.container import Image, base_root, inside, run
from release.pythons import COUNTED
from release.steps import REPOSITORY, ReleaseError, call, step, uv, workplace

PACKAGES = "python3 python3-pip python3-venv make git ca-certificates"
"""Python, pip and make; git for the clone, and the authorities by which pip trusts the index."""
INSTALLERS = (
    "apt-get install -y -qq --no-install-recommends pipx"
    " && python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet uv"
)
CLONE = "/root/nightseal"
REPORTS = re.compile(r"^Report: .+\.(html|pdf)$", re.MULTILINE)
TEST_LOG = "/root/make-test.log"
PLACES = {"pipx": "/root/.local/bin", "uv": "/root/.local/bin", "python3": "venv/bin"}
"""Where each tool puts the command."""


def ways(readme: str) -> list[str]:
    """The lines under "Install", each of which installs Nightseal.

    Raises:
        ReleaseError: There is none, or one that begins with another tool than is known here.
    """
    section = readme.partition("\n## Install\n")[2].partition("\n## ")[0]
    lines = [
        line
        for block in re.findall(r"^```\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
    ]
    if not lines or any(line.split(maxsplit=1)[0] not in PLACES for line in lines):
        raise ReleaseError(f'the README\'s section "Install" has {lines}')
    return lines


def machine(folder: Path) -> Image:
    """A new machine with a clone of what is committed."""
    root = folder / "newcomer"
    if root.exists():
        raise ReleaseError(f"{root} is there already, and no longer a new machine")
    call("cp", "--archive", base_root(folder), root)
    image = Image(root)
    image.env |= {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    image.env["PATH"] = f"/opt/uv/bin:{image.env['PATH']}"
    shell(image, f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {PACKAGES}")
    call("git", "clone", "--quiet", "--no-local", REPOSITORY, root / CLONE.lstrip("/"))
    return image


def shell(image: Image, line: str) -> None:
    """Run a line on the machine, with its network."""
    run(image, ("/bin/sh", "-c", line))


def demo(image: Image) -> None:
    """`make demo`, as the README says.

    Raises:
        ReleaseError: It does not end by naming both reports.
    """
    began = time.monotonic()
    image.workdir = CLONE
    out = call(*inside(image, ("make", "demo"), network=True))
    if set(REPORTS.findall(out)) != {"html", "pdf"}:
        raise ReleaseError(f"make demo said\n{out[-4000:]}")
    step(f"  make demo: both reports ({time.monotonic() - began:.0f} s with everything that it installs)")


def test(image: Image) -> None:
    """`make test`, as the README says; what it prints is kept on the machine.

    Raises:
        ReleaseError: A test failed; the message has the end of what was printed.
    """
    began = time.monotonic()
    image.workdir = CLONE
    log = image.root / TEST_LOG.lstrip("/")
    try:
        shell(image, f"make test PYTEST_ARGS=-v > {TEST_LOG} 2>&1")
    except ReleaseError:
        raise ReleaseError(f"make test said\n{log.read_text('utf-8')[-6000:]}") from None
    counted = COUNTED.findall(log.read_text("utf-8"))
    if not counted:
        raise ReleaseError(f"make test did not say what passed\n{log.read_text('utf-8')[-2000:]}")
    step(f"  make test: {counted[-1]} ({time.monotonic() - began:.0f} s with everything that it installs)")


def install(image: Image, line: str, number: int) -> None:
    """One line of the README in a folder of its own, and a scan by what it installed."""
    began = time.monotonic()
    image.workdir = f"/root/way-{number}"
    here = image.root / image.workdir.lstrip("/")
    here.mkdir()
    for wheel in (image.root / "root").glob("*.whl"):
        (here / wheel.name).write_bytes(wheel.read_bytes())
    shell(image, line.replace("/path/to/checkout", CLONE))
    command = f"{PLACES[line.split(maxsplit=1)[0]]}/nightseal"
    # Nothing listens there: what could not be assessed is status 3, and is in the reports.
    shell(image, f"{command} scan 127.0.0.1:9 --quiet --output page.html; test $? = 3")
    shell(image, f"{command} scan 127.0.0.1:9 --quiet --output page.pdf; test $? = 3")
    beginnings = ((here / "page.html").read_bytes()[:15].lower(), (here / "page.pdf").read_bytes()[:5])
    if beginnings != (b"<!doctype html>", b"%PDF-"):
        raise ReleaseError(f"{line}: the reports begin with {beginnings}")
    shell(image, "rm -rf /root/.local")  # the next tool puts its command into the same place
    step(f"  {line}: scans, and writes both reports ({time.monotonic() - began:.0f} s)")


def main(folder: Path, *, test_too: bool) -> None:
    """All of it, below a folder."""
    lines = ways((REPOSITORY / "README.md").read_text("utf-8"))
    image = machine(folder)
    step(f"A new Debian 12 with {PACKAGES}:")
    demo(image)
    if test_too:
        test(image)
    shell(image, INSTALLERS)
    uv("build", "--quiet", "--wheel", "--out-dir", image.root / "root", REPOSITORY)
    for number, line in enumerate(lines, 1):
        install(image, line, number)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Do on a new machine what the README says.")
    parser.add_argument("--keep", type=Path, help="make the machine in this folder, and leave it (base/ is used again)")
    parser.add_argument("--test", action="store_true", help="run `make test` there too")
    options = parser.parse_args()
    try:
        with workplace(options.keep) as place:
            main(place, test_too=options.test)
    except ReleaseError as error:
        sys.exit(f"A newcomer gets stuck: {error}")
