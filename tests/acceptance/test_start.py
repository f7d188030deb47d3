"""What a command loads when it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scanner.app.cli import COMMANDS, run
from scanner.jobs.exit_status import ExitStatus
from tests.build.once import once

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


def test_the_text_of_a_scan_needs_no_history_and_draws_nothing() -> None:
    unneeded = (
        "pandas",
        "pyarrow",
        "deltalake",
        "weasyprint",
        "jinja2",
        "PIL",
        "aioquic",
        "OpenSSL",
        "sqlalchemy",
        "sslyze",
        "reports.view.build",
        "reports.view.model",
        "rich.progress",
        "socksio",
        "email.policy",
        "babel.messages",
    )
    script = (
        "import sys, scanner.app.handlers.scan, reports.text; "
        f"print([name for name in {unneeded!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_checking_a_configuration_loads_what_it_names_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[[environment]]\nname = "a"\nkind = "paas"\nendpoint = [{ host = "a.example" }]\n'
        '[[schedule]]\nname = "nightly"\ncron = "0 2 * * *"\n'
        '[[waiver]]\nrule = "cert.*"\nscope = "a"\nreason = "r"\nowner = "o"\nexpires = 2000-01-01\n',
        "utf-8",
    )
    unneeded = ("PIL", "babel", "cryptography", "jinja2", "pandas", "psutil", "sqlalchemy",
                "scanner.evidence", "scanner.pipeline", "scanner.rules", "reports")  # fmt: skip
    script = (
        "import sys; from scanner.app.cli import run; print(run(['config', 'check'])); "
        f"print([name for name in {unneeded!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "1 environment, 1 endpoint" in done.stdout
    assert "it expired on 2000-01-01" in done.stderr
    assert done.stdout.splitlines()[-2:] == ["0", "[]"]


def test_asking_the_service_for_a_run_loads_nothing_that_scans(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("", "utf-8")
    script = (
        "import sys\n"
        "from scanner import forkserver\n"
        "from scanner.app.cli import run\n"
        "assert run(['run', '--via-daemon']) == 2\n"
        "assert forkserver.running() is None\n"
        "print(sorted({'altair', 'pandas', 'sslyze', 'scanner.pipeline', 'scanner.jobs.run'} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "nothing listens there" in done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "option",
    ["--ca-file=ca.pem", "--connect-to=a.example:443=127.0.0.1", "--no-intrusive", "--offline", "--output=x", "--rule=cert.*",
     "--skip=cert.*", "--fail-on-rule=cert.*"],
)  # fmt: skip
def test_what_the_service_has_of_its_own_is_not_asked_of_it(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("", "utf-8")
    (tmp_path / "ca.pem").write_text("", "utf-8")
    monkeypatch.chdir(tmp_path)

    assert run(["run", "--via-daemon", option]) == ExitStatus.USAGE
    assert "--via-daemon goes without --ca-file, --connect-to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "begin"),
    [
        ("scanner.app.lazy", "done_by('scanner.app.handlers.scan:scan', scans=True)(lambda: None)()"),
        ("scanner.service.worker", "main()"),
    ],
)
def test_what_a_scan_needs_loads_beside_what_its_workers_need(module: str, begin: str) -> None:
    """The server of the workers runs before what scans is loaded, and is not started again."""
    script = (
        "import sys\n"
        "from scanner import forkserver\n"
        f"import {module} as begun\n"
        "started = []\n"
        "def load(reference):\n"
        "    started.append(forkserver.running())\n"
        "    assert 'scanner.pipeline' not in sys.modules\n"
        "    return lambda **_: None\n"
        "begun.load = load\n"
        f"begun.{begin}\n"
        "from scanner.dispatch.workers import start_forkserver\n"
        "start_forkserver()\n"
        "print(started[0] is not None and started[0] == forkserver.running())\n"
    )
    command = [sys.executable, "-c", script, "--state=s", "--config=c", "--start=1"]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "True"


@pytest.mark.parametrize("module", ["scanner.probe.dns", "scanner.probe.mail.records", "scanner.inventories.zone"])
def test_asking_name_servers_loads_no_quic(module: str) -> None:
    """dnspython loads aioquic where it is installed, in whichever of our modules it is imported first."""
    script = f"import sys, {module}; print([name for name in ('aioquic', 'OpenSSL') if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_sending_a_message_loads_nothing_that_composes_it() -> None:
    """Each is sent by a process of its own."""
    unneeded = ("jinja2", "pydantic", "scanner.config", "scanner.rules", "scanner.verdict", "reports.deliver_message")
    script = f"import sys, reports.deliver; print([name for name in {unneeded!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_scan_of_a_host_loads_neither_the_forms_of_an_estate_nor_what_reads_zones() -> None:
    script = "import sys, scanner.app.handlers.scan; print([n for n in sys.modules if n.startswith('scanner.config.')])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['scanner.config.values', 'scanner.config.form_scan']"


def test_what_checks_a_configuration_loads_nothing_that_asks_name_servers() -> None:
    script = "import sys, scanner.app.handlers.config; print([n for n in sys.modules if n.split('.')[0] == 'dns'])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("after_s", [0.3, 0.8])
def test_an_interrupt_while_it_loads_prints_no_trace(after_s: float) -> None:
    """Ctrl-C goes to all of the terminal's processes: to the server of the workers, too, in the middle of an import."""
    command = [sys.executable, "-m", "scanner.app.cli", "scan", "127.0.0.1:9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate()

    assert b"multiprocessing" not in err, err
    assert b"forkserver" not in err, err


@pytest.mark.parametrize("arguments", [("policy", "show", "https-by-default"), ("explain", "cert.expiry"), ("--help",)])
def test_a_reader_that_goes_away_decides_no_status(arguments: tuple[str, ...]) -> None:
    """`| head -1`: click and rich would end it by 1, which says that a rule failed, and Python by 120."""
    command = [sys.executable, "-m", "scanner.app.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate()

    assert (process.returncode, err) == (0, b"")


def said_in(encoding: str, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
    """What a command says to a terminal of an encoding."""
    command = [sys.executable, "-m", "scanner.app.cli", *arguments]
    spoken = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(command, capture_output=True, env=spoken, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
@pytest.mark.parametrize("arguments", [("scan", "127.0.0.1:9"), ("explain", "cert.expiry"), ("policy", "list")])
def test_a_terminal_of_another_encoding_is_told_in_its_own(
    arguments: tuple[str, ...], encoding: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A mark that it does not have is written in plain letters, and ends no command."""
    done = said_in(encoding, arguments)
    expected = once(tmp_path_factory, f"said-{arguments[0]}", lambda _: said_in("utf-8", arguments))

    assert done.returncode == expected.returncode
    assert expected.stdout
    assert b"\xe2" not in done.stdout, "it is not UTF-8 in disguise"
    said = done.stdout.decode(encoding)
    if arguments[0] == "scan":
        assert set("✗✓─") & set(expected.stdout.decode())
        assert not set("✗✓─") & set(said)
        assert "\\u" not in said


@pytest.mark.parametrize("width", [60, 80])
def test_an_explanation_is_as_wide_as_the_terminal(width: int) -> None:
    command = [sys.executable, "-m", "scanner.app.cli", "explain", "cert.expiry"]
    there = {**os.environ, "COLUMNS": str(width)}

    said = subprocess.run(command, capture_output=True, text=True, env=there, check=True).stdout

    sentences = said.partition("Sources")[0] + said.partition("Parameters")[2].partition("Reasons")[0]
    wrapped = sentences.splitlines()  # addresses and configuration are to be copied, and stay in one line
    assert width - 20 < max(map(len, wrapped)) <= width


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
        "import dataclasses, pwd\n"
        "def nobody(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = nobody\n"
        "from pathlib import Path\n"
        "try: Path.home()\n"
        "except RuntimeError: print('homeless')\n"
        "from scanner.app.process import have_home\n"
        "have_home()\n"
        "from reports.render import render_html, render_pdf\n"
        "from tests.build.judged import judged_record, judged_view\n"
        "record = judged_record(4).record\n"
        "view = judged_view(dataclasses.replace(record, targets=record.targets[:2]))\n"
        "print(render_html(view)[:9], render_pdf(view)[:5])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_CACHE_HOME"}}

    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout == "homeless\n<!DOCTYPE b'%PDF-'\n"
