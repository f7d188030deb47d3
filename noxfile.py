"""The tests on each Python that is supported: `nox`, or `nox -s tests-3.13`.

One that is not on the machine is skipped and said so; `nox --error-on-missing-interpreters` fails instead, as CI does.
Each session installs the pinned requirements, runs the unit tests, and scans the lab once from another folder.
"""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""What CI has interpreters for. The classifiers name those on which this was seen to pass (docs/releasing.md)."""


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Unit tests, and one scan of the lab with both reports."""
    session.install("--require-hashes", "-r", "requirements-dev.txt")
    session.install("--no-deps", "--editable", ".")
    session.run("python", "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", *session.posargs, "tests/unit")
    session.chdir(session.create_tmp())
    session.run("nightseal", "demo", "--quiet")
