"""What is named by `--output` gets the bytes and stays what it is; only regular files are replaced, whole."""

from __future__ import annotations

import errno
import io
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread, get_ident
from typing import BinaryIO, NoReturn

import pytest

from scanner import inherited
from scanner.app.cli import run
from scanner.errors import Interrupted, OutputError
from scanner.history import History
from scanner.jobs import session
from scanner.jobs.destinations import descriptor_of, ensure_destination, put
from scanner.jobs.exit_status import ExitStatus
from scanner.jobs.output import formats_of
from scanner.jobs.stopping import Stopping
from tests.build import preloaded
from tests.build.judged import judged_record
from tests.conftest import PYTHONPATH

DATA = b"a report\n" * 20_000
"""More than a pipe holds at once."""


@pytest.fixture(autouse=True)
def _all_descriptors_are_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program that calls the library: what another test noted in this process holds for that test alone."""
    monkeypatch.setattr(inherited, "_noted", None)


class Heard(io.StringIO):
    """A stderr of which another thread can wait for each text; what pytest captures cannot be read while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.texts = SimpleQueue[str]()

    def write(self, text: str) -> int:
        written = super().write(text)  # refuses bytes, by which click tells what it is
        if text:
            self.texts.put(text)
        return written

    def next(self) -> str:
        return self.texts.get(timeout=60)


def placed(path: Path, data: bytes = DATA) -> None:
    """What a command does: it looks before it scans, and writes afterwards."""
    ensure_destination(path)
    put(path, data)


class TestFiles:
    def test_is_replaced_whole(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "report.json"
        placed(path, b"first")
        with path.open("rb") as reader:
            placed(path, b"second")
            assert reader.read() == b"first", "who reads it has the old one, whole"
        assert path.read_bytes() == b"second"
        assert [item.name for item in path.parent.iterdir()] == ["report.json"]

    def test_keeps_its_permissions_and_owner(self, tmp_path: Path) -> None:
        path = tmp_path / "secret.json"
        path.touch()
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, 12345, 12346)
        before = path.stat()
        placed(path)
        after = path.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert after.st_ino != before.st_ino

    def test_new_one_heeds_the_mask(self, tmp_path: Path) -> None:
        before = os.umask(0o027)
        try:
            placed(tmp_path / "report.json")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) == 0o640

    def test_that_cannot_be_moved_away_is_written_into(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A single file that is mounted into a container is such a one."""
        path = tmp_path / "report.json"
        path.write_bytes(DATA)
        before = path.stat().st_ino

        def busy(*_: object) -> NoReturn:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

        monkeypatch.setattr(Path, "replace", busy)
        placed(path, b"short")
        assert path.read_bytes() == b"short"
        assert path.stat().st_ino == before
        assert list(tmp_path.iterdir()) == [path]


class TestLinks:
    def test_stay_and_their_target_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        target = tmp_path / "store" / "2026.json"
        target.write_bytes(b"old")
        before = target.stat().st_ino
        (tmp_path / "store" / "latest.json").symlink_to("2026.json")
        link = tmp_path / "link.json"
        link.symlink_to("store/latest.json")
        placed(link)
        assert link.is_symlink()
        assert (tmp_path / "store" / "latest.json").is_symlink()
        assert target.read_bytes() == DATA
        assert target.stat().st_ino != before, "replaced, not written into"
        assert len(list((tmp_path / "store").iterdir())) == 2

    def test_may_lead_to_what_is_not_there_yet(self, tmp_path: Path) -> None:
        link = tmp_path / "link.json"
        link.symlink_to("later/report.json")
        (tmp_path / "later").mkdir()
        placed(link)
        assert link.is_symlink()
        assert (tmp_path / "later" / "report.json").read_bytes() == DATA

    @pytest.mark.parametrize("lead", ["gone/report.json", "gone/deeper/report.json", "../gone/report.json"])
    def test_make_no_folder(self, tmp_path: Path, lead: str) -> None:
        link = tmp_path / "here" / "link.json"
        link.parent.mkdir()
        link.symlink_to(lead)
        for attempt in (ensure_destination, lambda place: put(place, DATA)):
            with pytest.raises(
                OutputError, match=r"link\.json leads to .*gone.*, whose folder does not exist: make it"
            ):
                attempt(link)
        assert sorted(item.name for item in tmp_path.rglob("*")) == ["here", "link.json"]

    def test_in_a_circle_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OutputError, match="symbolic links"):
            ensure_destination(tmp_path / "a")
        with pytest.raises(OutputError, match="symbolic links"):
            put(tmp_path / "a", DATA)
        assert (tmp_path / "a").is_symlink()


def read_beside(source: Callable[[], BinaryIO]) -> Future[bytes]:
    """Open and read to the end while something is written."""

    def read() -> bytes:
        with source() as file:
            return file.read()

    pool = ThreadPoolExecutor(1)
    future = pool.submit(read)
    pool.shutdown(wait=False)
    return future


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Its two ends, to read from and to write to."""
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "wb") as writer:  # noqa: PTH123  # they have no paths
        yield reader, writer


Pipe = tuple[BinaryIO, BinaryIO]


class TestPipes:
    def test_named_one_is_written_into(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        read = read_beside(lambda: path.open("rb"))
        placed(path)
        assert read.result(30) == DATA
        assert stat.S_ISFIFO(path.stat().st_mode)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"])
    def test_open_one_is_written_into(self, pipe: Pipe, folder: str) -> None:
        read = read_beside(lambda: pipe[0])
        placed(Path(folder) / str(pipe[1].fileno()))
        pipe[1].close()
        assert read.result(30) == DATA

    def test_a_link_leads_to_it_too(self, pipe: Pipe, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(f"/dev/fd/{pipe[1].fileno()}")
        assert descriptor_of(tmp_path / "link") == pipe[1].fileno()
        placed(tmp_path / "link", b"short")
        assert os.read(pipe[0].fileno(), 100) == b"short"

    def test_a_reader_that_goes_away_is_told(self, pipe: Pipe) -> None:
        pipe[0].close()
        with pytest.raises(OutputError, match="its reader closed it after 0 of 180,000 bytes"):
            placed(Path(f"/dev/fd/{pipe[1].fileno()}"))

    def test_a_reader_that_leaves_early_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)

        def first_bytes() -> BinaryIO:
            with path.open("rb", buffering=0) as file:
                file.read(10)
            return (tmp_path / "nothing").open("w+b")

        read = read_beside(first_bytes)
        with pytest.raises(
            OutputError, match=r"pipe was not written whole: its reader closed it after [\d,]+ of 180,000"
        ):
            put(path, DATA)
        assert read.result(30) == b""

    def test_one_without_a_reader_is_waited_for_and_that_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        heard = Heard()
        monkeypatch.setattr(sys, "stderr", heard)

        def late() -> BinaryIO:
            assert heard.next() == f"nightseal: {path} waits for a reader (Ctrl-C ends it)\n"
            return path.open("rb")

        read = read_beside(late)
        put(path, DATA)
        assert read.result(60) == DATA
        assert heard.texts.empty()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_whatever_the_process_is_told_ends_the_waiting(
        self, tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        heard = Heard()
        monkeypatch.setattr(sys, "stderr", heard)

        def tell() -> None:
            heard.next()
            os.kill(os.getpid(), number)

        told = Thread(target=tell)
        # A shell has what it runs in the background ignore SIGINT, as nohup does with SIGHUP; these are then not heeded.
        before = signal.signal(number, signal.default_int_handler)
        try:
            told.start()
            with Stopping(), pytest.raises(KeyboardInterrupt):
                put(path, DATA)
            told.join()
        finally:
            signal.signal(number, before)

    def test_a_signal_that_interrupts_no_call_ends_the_waiting_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As one does that comes just before the call, or that the system gives to another thread, as here."""
        path = tmp_path / "pipe"
        os.mkfifo(path)
        heard = Heard()
        monkeypatch.setattr(sys, "stderr", heard)

        def tell() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            heard.next()
            signal.pthread_kill(get_ident(), signal.SIGTERM)
            if not ended.wait(60):
                kept_waiting.append(True)
                path.read_bytes()

        ended, kept_waiting = Event(), list[bool]()
        told = Thread(target=tell)
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            told.start()
            with Stopping(), pytest.raises(Interrupted):
                put(path, DATA)
            ended.set()
            told.join()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        assert not kept_waiting

    def test_a_socket(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            placed(Path(f"/dev/fd/{ours.fileno()}"), b"short")
            assert theirs.recv(100) == b"short"

    def test_a_file_that_is_open_goes_on_where_it_is(self, tmp_path: Path) -> None:
        with (tmp_path / "log").open("wb") as file:
            file.write(b"before\n")
            file.flush()
            placed(Path(f"/dev/fd/{file.fileno()}"), b"report\n")
            file.write(b"after\n")
        assert (tmp_path / "log").read_bytes() == b"before\nreport\nafter\n"

    def test_what_is_not_open_for_writing_is_refused(self, pipe: Pipe) -> None:
        with pytest.raises(OutputError, match="open only for reading"):
            ensure_destination(Path(f"/dev/fd/{pipe[0].fileno()}"))
        for name in ("987", "03", "99999999999999999999", "٣", "x"):
            with pytest.raises(OutputError, match=f"/dev/fd/{name} is not open"):
                placed(Path(f"/dev/fd/{name}"))

    def test_what_takes_no_bytes_is_refused_in_words(self) -> None:
        with select.epoll() as events, pytest.raises(OutputError, match="it accepts no bytes"):
            placed(Path(f"/dev/fd/{events.fileno()}"))


class TestDevices:
    def test_terminal(self) -> None:
        master, slave = os.openpty()
        path = Path(os.ttyname(slave))
        placed(path, b"short\n")
        assert os.read(master, 100) == b"short\r\n"
        assert path.is_char_device()
        os.close(master)
        os.close(slave)

    def test_null(self, tmp_path: Path) -> None:
        path = tmp_path / "null"
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
            path.write_bytes(b"")
        except PermissionError:
            pytest.fail("a device is needed, which root alone can make: `sudo env PATH=$PATH make test`")
        placed(path)
        assert path.is_char_device()
        assert list(tmp_path.iterdir()) == [path]


# --- The commands -----------------------------------------------------------------------------------------------------

CONFIG = '[[environment]]\nname = "legacy"\nkind = "on-premises"\n[[environment.endpoint]]\nhost = "a.example"\n'
COMMAND = """
from scanner.app.cli import main
from tests.build.same_run import prepare
prepare()
main()
"""


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder with a command `ns` whose every scan gives the same run, and a configuration."""
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "ns.py").write_text(COMMAND)
    (tmp_path / "ns").write_text(f'#!/bin/sh\nPYTHONPATH="{PYTHONPATH}" exec "{sys.executable}" ns.py "$@"\n')
    (tmp_path / "ns").chmod(0o755)
    return tmp_path


def sh(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash")
    assert bash, "apt-get install bash"
    return subprocess.run([bash, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_process_substitution(shell: Path) -> None:
    done = sh(
        shell,
        "./ns scan -q a.example -f json -o >(cat > got.json; touch ended); while [ ! -e ended ]; do sleep 0.1; done",
    )
    assert done.returncode == 0, done
    assert (shell / "got.json").read_bytes().startswith(b'{\n  "schema"')


@pytest.mark.parametrize("folder", ["/dev/fd", "/proc/self/fd"])
def test_a_descriptor_is_the_callers_or_refused(shell: Path, folder: str) -> None:
    """The numbers are those that the program's own files and sockets have by then."""
    here = {**os.environ, "PYTHONPATH": PYTHONPATH}
    for number in (3, 6, 7):
        command = ["run", "-q", "-f", "json", "-o", f"{folder}/{number}"]
        refused = preloaded.run(command, cwd=shell, env=here, timeout=120, prepare="tests.build.same_run:prepare")
        told = f"nightseal: {folder}/{number} is not open: open it in the shell first, or name a file\n"
        assert (refused.returncode, refused.stdout, refused.stderr.decode()) == (2, b"", told)
    done = sh(shell, f"./ns run -q -f json -o {folder}/7 7> got.json")
    assert (shell / "got.json").read_bytes().startswith(b'{\n  "schema"'), done


def test_streams_that_are_closed_hold_no_file_of_ours(shell: Path) -> None:
    """What opens first would be stdout otherwise, and whatever is printed would be written into it."""
    assert sh(shell, "./ns run -q >&- 2>&- <&-").returncode in {0, 1}
    assert sh(shell, "./ns history runs").stdout.count("20260") >= 1, "the history is whole"
    done = sh(shell, "./ns scan a.example >&-")
    assert (done.returncode, done.stderr) == (2, "nightseal: stdout is not open: name a file with --output\n")


@pytest.mark.parametrize("command", ["scan a.example", "run"])
def test_stdout_by_its_name_holds_the_report_alone(shell: Path, command: str) -> None:
    done = sh(shell, f"echo before > all; ./ns {command} -f csv -o /dev/stdout >> all; echo after >> all")
    lines = (shell / "all").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after"), done
    assert lines[1].startswith("run,started_at")
    assert all(line.startswith("20260") for line in lines[2:-1]), "and no summary"


@pytest.mark.parametrize(
    ("named", "output", "formats"),
    [
        ((), "report.pdf", ("pdf",)),
        ((), "folder.html/report.JSON", ("json",)),
        ((), "a.oscal.json", ("oscal",)),
        ((), "a.cdx.json", ("cyclonedx",)),
        ((), "a.junit.xml", ("junit",)),
        ((), "a.prom", ("prometheus",)),
        ((), "a.om", ("openmetrics",)),
        ((), "a.txt", ("text",)),
        (("csv",), "report.csv", ("csv",)),
        ((), "report.unknown", ("usual",)),
        ((), "pdf", ("usual",)),
        ((), "out/", ("usual",)),
        ((), "-", ("usual",)),
        ((), "/dev/stdout", ("usual",)),
        ((), None, ("usual",)),
    ],
)
def test_a_suffix_says_which_format(named: tuple[str, ...], output: str | None, formats: tuple[str, ...]) -> None:
    assert formats_of(named, output, ("usual",)) == formats


def test_a_folder_may_be_called_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "site.html").mkdir()
    assert formats_of((), str(tmp_path / "site.html"), ("usual",)) == ("usual",)
    assert formats_of((), f"{tmp_path}/later.html/", ("usual",)) == ("usual",)


@pytest.mark.parametrize("command", [["scan", "a.example"], ["run"], ["report"]])
def test_each_command_heeds_the_suffix(command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG)
    record = judged_record(0).record
    monkeypatch.setattr(session, "run_with_progress", lambda *_, **__: record)
    if command == ["report"]:
        History.open("history", create=True).append(record)
    assert run([*command, "-o", "r.csv"]) in {ExitStatus.OK, ExitStatus.FAILED}
    assert (tmp_path / "r.csv").read_text().startswith("run,started_at")


def test_a_place_that_cannot_be_written_to_is_found_before_anything_is_scanned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.setattr(session, "run_with_progress", lambda *_, **__: pytest.fail("it scans"))
    for command in (["scan", "a.example"], ["run"]):
        assert run([*command, "-f", "json", "-o", "/dev/fd/987"]) == ExitStatus.USAGE
        assert "/dev/fd/987 is not open" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["scan", "127.0.0.1:1"], ["run"], ["report"], ["evidence", "export"]])
@pytest.mark.parametrize("nothing", ["", " "])
def test_a_variable_that_is_not_set_names_no_place(
    command: list[str],
    nothing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*command, "--output", nothing]) == ExitStatus.USAGE
    assert "--output" in (told := capsys.readouterr().err)
    assert "is empty (is a variable of the shell not set?)" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan", "a.example", "--proxy", ""],
        ["scan", "--file", " "],
        ["scan", "a.example", "--policy="],
        ["scan", "a.example", "--sni", ""],
        ["clients", "a.example", "--if", ""],
        ["clients", "a.example", "--policy", ""],
        ["run", "--policy", ""],
    ],
)
def test_an_option_that_is_empty_is_not_one_that_was_not_given(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable of the shell that is not set: a scan would go past the proxy, a change would cut off nobody."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text("", "utf-8")

    assert run(arguments) == ExitStatus.USAGE

    option = next(each for each in arguments if each.startswith("--")).rstrip("=")
    assert f"'{option}': is empty (is a variable of the shell not set?)" in capsys.readouterr().err
