"""Twenty secrets are planted in receivers' addresses, a proxy and wrong places; nothing that is written holds any."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pikepdf
import psutil
import pyarrow.parquet as pq
import pytest

from scanner.lab import Lab
from tests.build.documented import documented, mentioned
from tests.build.ports import free_port
from tests.build.service import service, wait_for
from tests.conftest import REPOSITORY, Runner

PLANTED = "Planted5ecret"
RECEIVED = (
    "json://ops:{}@127.0.0.1:{port}/services/{}?+X-Token={}",
    "mailto://ops:{}@127.0.0.1:{port}?to=ops@example.com&from=a@example.com",
    "gotify://127.0.0.1:{port}/{}",
    "ntfy://ops:{}@127.0.0.1:{port}/topic?token={}",
    "mmost://127.0.0.1:{port}/{}?image=no&+Authorization={}",
)
"""Addresses that are right; nobody listens there."""
MALFORMED = (
    '"mailtos://ops:{}@mail.example.com:587?to=ops@example.com"',
    "'json://ops:{}@127.0.0.1:1/'",
    " mailtos:/ops:{}@mail.example.com",
    "mailto:ops:{}@mail.example.com",
    "ops:{}@mail.example.com",
    "xyz://ops:{}@mail.example.com",
    "json://ops:{}@:99999/",
    "slack://{}",
    "https://hooks.example.com/services/{}",
    "tgram://123456:{}",
)
SCHEDULE = (
    '[[schedule]]\nname = "nightly"\ncron = "0 0 1 1 *"\nreports = ["html", "json", "pdf", "xlsx"]\nconfirm = false\n'
)


def secret(number: int) -> str:
    return f"{PLANTED}{number:02d}"


def receivers(*names: str) -> str:
    return "".join(
        f'[[notify]]\nname = "{name.lower()}"\nurl = "${{{name}}}"\non = ["new-failure"]\n' for name in names
    )


def inside(path: Path) -> Iterator[tuple[str, str]]:
    """Everything that a file holds, also what is packed in it, by what it is called."""
    yield str(path), path.read_bytes().decode(errors="replace")
    if path.suffix == ".parquet":
        yield f"{path}: rows", str(pq.read_table(path, partitioning=None).to_pylist())
    elif path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                yield f"{path}: {name}", packed.read(name).decode(errors="replace")
    elif path.suffix == ".pdf":
        printed = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True)
        yield f"{path}: pages", printed.stdout
        with pikepdf.open(path) as document:
            for name, attached in document.attachments.items():
                yield f"{path}: {name}", attached.get_file().read_bytes().decode(errors="replace")


def texts_in(folder: Path) -> dict[str, str]:
    """All that there is in a folder. Every kind of file was looked into: what may be told is found in each."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".html", ".json", ".log", ".parquet", ".pdf", ".sqlite", ".xlsx"}
    texts = {name: text for path in files for name, text in inside(path)}
    for kind in (r"\.parquet: rows$", r"\.pdf: pages$", r"\.pdf: .*\.json$", r"\.pdf: .*\.csv$", r"\.xlsx: xl/"):
        assert any("expired.lab.example" in text for name, text in texts.items() if re.search(kind, name)), kind
    return texts


class Watched:
    """The command lines of all processes of this test, as others on the machine see them."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    self.seen.add(" ".join(process.cmdline()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def through_proxies(config: Path, right: str, told: Callable[..., int]) -> None:
    """A run and a scan through a proxy with a password, and what is said of one that forgot its scheme."""
    config.write_text(right.replace("[scan]\n", '[scan]\nproxy = "${PROXY}"\n', 1))
    assert told("run", "--format", "json") in {1, 3}
    config.write_text(right.replace("[scan]\n", '[scan]\nproxy = "${BARE}"\n', 1))
    for command in (("config", "check"), ("run",), ("daemon",)):
        assert told(*command) == 2
    assert told("scan", "expired.lab.example", "--proxy", "env", "--format", "json") == 3


@pytest.mark.timeout(600)
def test_no_secret_is_in_any_log_message_report_file_or_process_list(
    tmp_path: Path, small_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    planted = map(secret, range(9))
    given = {
        f"R{index}": url.format(*[next(planted) for _ in range(url.count("{}"))], port=port)
        for index, url in enumerate(RECEIVED)
    }
    assert not list(planted), "all of them are planted"
    wrong = {f"R{10 + index}": url.format(secret(10 + index)) for index, url in enumerate(MALFORMED)}
    proxy = f"http://ops:{secret(9)}@127.0.0.1:{port}"
    assert len(set(re.findall(rf"{PLANTED}\d\d", " ".join((*given.values(), *wrong.values(), proxy))))) == 9 + 10 + 1
    # What forgot its scheme is the proxy's secret again.
    bare = proxy.removeprefix("http://")
    for name, value in {
        **given,
        **wrong,
        "PROXY": proxy,
        "BARE": bare,
        "ALL_PROXY": proxy,
        "NIGHTSEAL_LOG": "debug",
    }.items():
        monkeypatch.setenv(name, value)
    said = []
    notify = "notify = [" + ", ".join(f'"{name.lower()}"' for name in given) + "]\n"
    with Watched() as watched:
        more = receivers(*given)
        with service(tmp_path, small_lab, "expired", schedule=SCHEDULE + notify, more=more) as running:

            def told(*command: str) -> int:
                # What is forked has no command line of its own; these show theirs to others.
                running.as_users_do = command[0] in {"scan", "report"} or "--via-daemon" in command
                done = running.command(*command)
                said.extend((done.stdout, done.stderr))
                return done.returncode

            config = tmp_path / "config.toml"
            right = config.read_text()
            assert told("config", "check") == 0
            running.start(as_users_do=True)
            wait_for(lambda: running.said("next start"), "the service")
            assert told("run", "--via-daemon", "--schedule", "nightly") == 1
            wait_for(lambda: len(running.said("not delivered")) >= len(given), "a refusal by each")
            for name in ("R0", "R3"):
                assert told("notify", "test", name.lower()) == 4

            # Wrong addresses, read by every command that reads them, and by the service.
            config.write_text(right + receivers(*wrong))
            assert told("config", "check") == 2
            for name in ("R10", "R17"):
                assert told("notify", "test", name.lower()) == 2
            running.started[-1].send_signal(signal.SIGHUP)
            wait_for(lambda: running.said("refused"), "that they are refused")
            # Addresses where another thing should be.
            names = (*given, *wrong)
            config.write_text(
                right + "".join(f'[[notify]]\nurl = "json://127.0.0.1/"\nname = "${{{name}}}"\n' for name in names)
            )
            assert told("config", "check") == 2
            assert sum("which has a special meaning in scopes" in text for text in said) == 1
            through_proxies(config, right, told)
            assert sum("scan.proxy: a proxy's address begins with its scheme" in text for text in said) == 3
            config.write_text(right)
            for command in (("daemon", "--status"), ("doctor",), ("report", "--format", "text")):
                told(*command)
            running.started[-1].send_signal(signal.SIGTERM)
            assert running.started[-1].wait(90) == 0

    texts = texts_in(tmp_path)
    texts |= {f"output {index}": text for index, text in enumerate(said)}
    texts["command lines"] = "\n".join(watched.seen)
    assert "reports.deliver" in texts["command lines"]
    assert "scanner.service.worker" in texts["command lines"]
    for shown in ("-m scanner.app.cli daemon", "--via-daemon", "--proxy env"):
        assert shown in texts["command lines"]
    found = {name: re.findall(rf".*{PLANTED}\d\d.*", text)[:3] for name, text in texts.items() if PLANTED in text}
    assert found == {}


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ('[nightseal]\nhistory = "https://ops:{}@box.example/h"', "is not the scheme of an object store"),
        ('[nightseal]\noutput = "https://ops:{}@reports.example/"', "is not a directory"),
        ('[report]\ntsa = "htp://ops:{}@tsa.example/"', "begins with"),
        ('[daemon]\nhttp = "http://ops:{}@127.0.0.1"', "should be an address and a port"),
    ],
)
def test_an_address_that_stands_elsewhere_in_the_file_is_told_without_its_password(
    place: str, told: str, tmp_path: Path, nightseal: Runner
) -> None:
    """Also where it is refused, and where what is there is read all the same."""
    config = tmp_path / "config.toml"
    config.write_text(
        place.format(secret(1)) + '\n[[environment]]\nname = "e"\nkind = "on-premises"\n'
        '  [[environment.endpoint]]\n  host = "127.0.0.1"\n' + SCHEDULE
    )
    said = [
        nightseal(*command, "--config", str(config))
        for command in (("config", "check"), ("run",), ("daemon",), ("history", "runs"), ("daemon", "--alive"))
    ]
    assert all(told in done.err for done in said[:3])
    assert [done for done in said if PLANTED in done.out + done.err] == []


def test_no_command_that_is_documented_shows_secrets_to_others() -> None:
    """What is expanded on a command line is in `ps` and in the logs of sudo; what is typed is in the shell's history."""
    for page in (*REPOSITORY.glob("docs/**/*.md"), REPOSITORY / "README.md", *REPOSITORY.glob("deploy/*")):
        if not page.is_file():
            continue
        text = page.read_text("utf-8")
        assert not re.search(r"\$\(\s*cat [^)]*environment", text), page
        assert not re.search(r"^\s*export \w*(URL|PASSWORD|TOKEN|SECRET|KEY)\w*=\S", text, re.MULTILINE), page
        assert not re.search(r"^\s*nightseal [^\n]*://[^\s/@]*:[^\s/@]*@", text, re.MULTILINE), page
        assert not re.search(r"docker (run|exec)[^\n]* -e \w*(URL|PASSWORD|TOKEN)\w*=", text), page
    commands = [*documented(), *mentioned()]
    assert [found for found in commands if re.search(r"://[^\s/]+@", found[1])] == [], "a password in a URL"
    assert len(commands) > 100
