"""What a command loads when it starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scanner.app.cli import COMMANDS

HEAVY = ("sslyze", "nassl", "tlslite", "httpx", "pandas", "pyarrow", "deltalake", "weasyprint", "jinja2", "apscheduler")


def test_help_loads_no_engine() -> None:
    script = (
        "import sys; from scanner.app.cli import run; run(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout


def test_declarations_load_no_engine() -> None:
    """The help of every command, and wrong use of it, come before anything heavy is loaded."""
    script = (
        "import importlib, sys; from scanner.app.cli import COMMANDS; "
        "[importlib.import_module(entry.module) for entry in COMMANDS.values()]; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [("policy", "show", "https-by-default"), ("explain", "cert.expiry"), ("--help",)])
def test_a_reader_that_goes_away_decides_no_status(arguments: tuple[str, ...]) -> None:
    """`| head -1`: click and rich would end it by 1, which says that a rule failed, and Python by 120."""
    command = [sys.executable, "-m", "scanner.app.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate()

    assert (process.returncode, err) == (0, b"")


def test_a_reader_that_goes_away_keeps_no_failure_from_being_told() -> None:
    command = [sys.executable, "-m", "scanner.app.cli", "policy", "show", "no-such-policy"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        process.communicate()

    assert process.returncode == 2


def test_a_user_without_name_and_home_can_draw_reports() -> None:
    """As a container's: an arbitrary uid without an entry in the passwd file, and no HOME."""
    script = (
        "import pwd\n"
        "def nobody(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = nobody\n"
        "from pathlib import Path\n"
        "try: Path.home()\n"
        "except RuntimeError: print('homeless')\n"
        "from scanner.app.process import have_home\n"
        "have_home()\n"
        "from reports.render import render_html, render_pdf\n"
        "from tests.build.judged import judged_view\n"
        "print(render_html(judged_view())[:9], render_pdf(judged_view())[:5])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_CACHE_HOME"}}

    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == "homeless\n<!DOCTYPE b'%PDF-'\n"
