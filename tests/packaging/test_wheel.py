"""The wheel, built from the source distribution and installed where nothing of the checkout is: it scans, and renders HTML and PDF."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.build.documented import elsewhere
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("packaging")


def call(*command: str | Path, cwd: Path, **settings: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment |= settings
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", folder, REPOSITORY, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_what_is_needed_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    for needed in (
        "reports/templates/report.html",
        "reports/locales/pt/LC_MESSAGES/nightseal.po",
        "reports/export/schema/nightseal.report-1.json",
        "scanner/policies/https-by-default.toml",
        "scanner/probe/data/cipher_suites.csv",
        "scanner/lab/demo.toml",
        "scanner/app/config_example.toml",
        "scanner/py.typed",
        "reports/py.typed",
    ):
        assert needed in names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"scanner", "reports"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def documented(wheel: Path) -> list[list[str]]:
    """The arguments of pip that docs/operations.md installs with, for this checkout and this wheel."""
    text = (REPOSITORY / "docs" / "operations.md").read_text("utf-8").partition("## Upgrade")[0]
    lines = re.findall(r"^/opt/nightseal/bin/pip (install .+)$", text, re.MULTILINE)
    assert len(lines) == 2
    assert f"./{wheel.name}" in lines[1], "the document names this version's file"
    places = {"requirements.txt": str(REPOSITORY / "requirements.txt"), f"./{wheel.name}": str(wheel)}
    return [[places.get(word, word) for word in line.split()] for line in lines]


def test_what_operations_installs_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    call(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, python.parents[1], cwd=tmp_path)
    # uv takes pip's arguments, and is faster.
    for command, *arguments in documented(wheel):
        call(
            sys.executable, "-m", "uv", "pip", command, "--quiet", "--python", str(python), *arguments, cwd=tmp_path
        )  # fmt: skip

    assert "nightseal, version" in call(python.parent / "nightseal", "--version", cwd=tmp_path)
    (line,) = elsewhere("demo")  # as the documents have it
    out = call(python.parent / "nightseal", *line.split()[1:], cwd=tmp_path)

    # The demo ends by naming what it wrote.
    html, pdf = (Path(line.removeprefix("Report: ")) for line in out.splitlines() if line.startswith("Report: "))
    assert "None of the 4 environments is compliant" in (tmp_path / html).read_text()
    assert (tmp_path / pdf).read_bytes().startswith(b"%PDF-")


def test_the_readmes_other_ways_to_install_work(wheel: Path, tmp_path: Path) -> None:
    text = (REPOSITORY / "README.md").read_text("utf-8")
    assert f"uv tool install ./{wheel.name}" in text
    assert "pip install git+file:///path/to/checkout" in text
    zones = (REPOSITORY / "docs" / "how-to" / "zones.md").read_text("utf-8")
    assert f"'./{wheel.name}[fleet]'" in zones

    pinned = ("--constraints", str(REPOSITORY / "requirements.txt"))
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    call(sys.executable, "-m", "uv", "tool", "install", "--quiet", "--python", sys.executable, *pinned, wheel,
         cwd=tmp_path, **places)  # fmt: skip
    assert "nightseal, version" in call(tmp_path / "bin" / "nightseal", "--version", cwd=tmp_path)

    python = tmp_path / "venv" / "bin" / "python"
    call(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, python.parents[1], cwd=tmp_path)
    call(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python, *pinned,
         f"git+file://{REPOSITORY}", cwd=tmp_path)  # fmt: skip
    assert "nightseal, version" in call(python.parent / "nightseal", "--version", cwd=tmp_path)

    # The extra of docs/how-to/zones.md has what a worker needs.
    call(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python,
         "--constraints", REPOSITORY / "requirements-dev.txt", f"{wheel}[fleet]", cwd=tmp_path)  # fmt: skip
    call(python, "-c", "import scanner.fleet.worker, redis", cwd=tmp_path)
