"""What a command loads when it starts."""

from __future__ import annotations

import subprocess
import sys

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
