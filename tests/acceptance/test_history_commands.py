"""The history's questions, the machine formats and signed reports, through the command line."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanner.app import cli
from scanner.history import History
from scanner.history.maintenance import MANY_FILES
from scanner.history.schema import RUNS
from scanner.verdict import RunRecord
from tests.build.judged import judged_record
from tests.build.records import sample_record
from tests.build.signers import person
from tests.conftest import Done, Runner

pytestmark = pytest.mark.xdist_group("history-commands")

# Every host of the sample: what the configuration no longer has is left out of what is so now.
CONFIG = """
[[environment]]
name = "legacy"
kind = "on-premises"
endpoint = [{ host = "erp.example.internal" }, { host = "console.example.internal", port = 8443, role = "monitoring" }]
[[environment]]
name = "production"
kind = "on-premises"
endpoint = [
  { host = "shop.example.com" },
  { host = "monitor.example.com", role = "monitoring" },
  { host = "mail.example.com", port = 25, role = "server", starttls = "smtp" },
]
[[environment]]
name = "test"
kind = "on-premises"
endpoint = [{ host = "shop.test.example.com" }, { host = "api.test.example.com" }, { host = "gone.test.example.com" }]
"""
QUESTIONS = ("failing", "fixes", "keys", "issuers", "addresses", "environments", "coverage")


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four nights of a service: at the second address of a name the old certificate is served, until the third."""
    folder = tmp_path_factory.mktemp("nights")
    history = History.open(folder / "history", create=True)
    for night in (0, 1, 2, 4):
        history.append(judged_record(night).record)
    (folder / "config.toml").write_text(CONFIG)
    return folder


@pytest.fixture
def two_hosts(tmp_path: Path) -> RunRecord:
    """A folder with one small run, whose report is drawn in a moment."""
    record = judged_record(4).record
    kept = tuple(target for target in record.targets if target.environment == "legacy")
    run = dataclasses.replace(record.run, environments=("legacy",), expected_targets=len(kept))
    small = RunRecord(run, kept)
    History.open(tmp_path / "history", create=True).append(small)
    (tmp_path / "config.toml").write_text(CONFIG)
    return small


@pytest.fixture
def quick(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Runner:
    """The same command line inside this process, for what asks a lot of small questions."""

    def command(*arguments: str, cwd: Path = tmp_path, env: Mapping[str, str] | None = None) -> Done:
        with monkeypatch.context() as patch:
            patch.chdir(cwd)
            patch.setenv("NO_COLOR", "1")
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            status = cli.run(list(arguments))
        out, err = capfdbinary.readouterr()
        return Done(status, out.decode(), err.decode())

    return command


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_is_answered_in_each_form(quick: Runner, nights: Path, question: str) -> None:
    text = quick("history", question, cwd=nights)
    data = quick("history", question, "--format", "json", cwd=nights)
    table = quick("history", question, "--format", "csv", cwd=nights)

    assert (text.status, data.status, table.status) == (0, 0, 0)
    rows = list(csv.reader(io.StringIO(table.out)))
    assert len(rows) - 1 == len(data.json)
    if data.json:
        assert set(rows[0]) == set(data.json[0])
        assert text.out.splitlines()[0].split()[0] in {name.split("_")[0] for name in rows[0]}
    else:
        assert "Nothing yet." in text.err


def test_what_fails_is_told_with_its_time(quick: Runner, nights: Path) -> None:
    rows = quick("history", "failing", "--format", "json", cwd=nights).json
    (hsts,) = [r for r in rows if r["rule"] == "https.hsts" and "monitor" in r["target_id"]]
    assert hsts["since"].startswith("2026-03-04T02:00:00")
    assert hsts["duration"] == "P2DT0H0M0S"
    only = quick("history", "failing", "-e", "prod*", "--since", "2026-03-04", "--format", "json", cwd=nights).json
    assert hsts in only
    assert {row["environment"] for row in only} == {"production"}
    assert min(row["since"] for row in only) >= "2026-03-04"


def test_fixes_are_counted_from_when_they_are_asked_for(quick: Runner, nights: Path) -> None:
    def fixed(*options: str) -> int:
        return sum(row["fixed"] for row in quick("history", "fixes", "--format", "json", *options, cwd=nights).json)

    assert fixed() > fixed("--since", "2026-03-05") > 0
    assert fixed("--since", "2026-03-07") == 0


def test_a_key_in_two_environments_is_found_from_each(quick: Runner, nights: Path) -> None:
    (key,) = quick("history", "keys", "-e", "test", "--format", "json", cwd=nights).json
    assert key["environments"] == ["production", "test"]
    assert quick("history", "keys", "-e", "legacy", "--format", "json", cwd=nights).json == []


def test_addresses_that_differ(quick: Runner, tmp_path: Path) -> None:
    history = History.open(tmp_path / "history", create=True)
    for night in (0, 1):
        history.append(judged_record(night).record)
    (tmp_path / "config.toml").write_text(CONFIG)
    rows = quick("history", "addresses", "--format", "json").json
    assert {row["host"] for row in rows} == {"shop.example.com"}
    assert "certificate" in {row["what"] for row in rows}
    assert {row["duration"] for row in rows} == {"P1DT0H0M0S"}
    assert quick("history", "addresses", "--since", "2026-03-03", "--format", "json").json == []


def test_environments_side_by_side(quick: Runner, nights: Path) -> None:
    rows = quick("history", "environments", "--format", "json", cwd=nights).json
    (hsts,) = [row for row in rows if row["rule"] == "https.hsts"]
    assert (hsts["application"], hsts["production"], hsts["test"]) == ("Shop", "pass", "fail")
    assert quick("history", "environments", "-e", "test", "--format", "json", cwd=nights).json == []


def test_coverage_is_not_rounded_up(quick: Runner, nights: Path) -> None:
    rows = quick("history", "coverage", "--since", "2026-03-06", "--format", "json", cwd=nights).json
    test = next(row for row in rows if row["environment"] == "test")
    assert (test["targets"], test["assessed"], test["unreachable"]) == (3, 1, 1)
    assert "33.3 %" in quick("history", "coverage", cwd=nights).out


def test_diff_since_a_day(quick: Runner, nights: Path) -> None:
    ids = [row["run_id"] for row in quick("history", "runs", "--format", "json", cwd=nights).json]

    assert quick("diff", "--since", "2026-03-04", cwd=nights).out.startswith(f"From {ids[1]} to {ids[3]} ")
    assert quick("diff", "--since", "2020-01-01", cwd=nights).out.startswith(f"From {ids[0]} to {ids[3]} ")
    assert quick("diff", ids[2], "--since", "2026-03-03", cwd=nights).out.startswith(f"From {ids[0]} to {ids[2]} ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["history", "failing", "-e", "prodution"], 'has no environment "prodution" (did you mean "production"?)'),
        (["history", "failing", "--since", "yesterday"], "should be a day such as"),
        (["history", "coverage", "--since", "1d"], "has no run since"),
        (["history", "nonsense"], "No such command"),
        (["diff", "--since", "30d", "a", "b"], "two runs already define the comparison"),
        (["diff", "nonsense", "--since", "30d"], "there is no run nonsense"),
        (["report", "--format", "html", "--sign", "key.p12"], "--sign signs a PDF: add --format pdf"),
        (["report", "--format", "pdf", "--sign", "missing.p12"], "missing.p12 cannot be read"),
        (["report", "--format", "pdf", "--sign", "config.toml"], "config.toml is not a PKCS #12 file"),
        (["run", "--via-daemon", "--sign", "key.p12"], "signs nothing"),
        (["verify", "missing.pdf"], "missing.pdf cannot be read"),
        (["verify", "config.toml"], "config.toml: it is not a PDF"),
        (["verify", "config.toml", "--trust", "config.toml"], "config.toml holds no certificate"),
    ],
)
def test_wrong_use_says_what_is_wrong(quick: Runner, nights: Path, arguments: list[str], message: str) -> None:
    done = quick(*arguments, cwd=nights)

    assert done.status == 2, done
    assert message in " ".join(done.err.split())


def test_every_machine_format_at_once(quick: Runner, two_hosts: RunRecord, tmp_path: Path) -> None:
    suffixes = {
        "json": "json", "csv": "csv", "xlsx": "xlsx", "sarif": "sarif", "junit": "junit.xml", "openmetrics": "om", "prometheus": "prom",
        "cyclonedx": "cdx.json", "oscal": "oscal.json", "text": "txt",
    }  # fmt: skip
    wanted = [option for name in suffixes for option in ("--format", name)]
    done = quick("report", *wanted, "--output", "all")

    assert done.status == 0, done.err
    assert {path.name for path in (tmp_path / "all").iterdir()} == {
        f"{two_hosts.run.id}.{suffix}" for suffix in suffixes.values()
    }
    bom = quick("report", "--format", "cyclonedx", "--output", "-")
    assert bom.json["specVersion"] == "1.6"
    assert bom.out == (tmp_path / "all" / f"{two_hosts.run.id}.cdx.json").read_text()


def test_signed_report_is_verified_and_a_changed_one_is_not(
    nightseal: Runner, quick: Runner, two_hosts: RunRecord, tmp_path: Path
) -> None:
    secret = "open sesame"  # noqa: S105  # made up here
    jane = person("Jane Reviewer", passphrase=secret)
    (tmp_path / "jane.p12").write_bytes(jane.p12)
    (tmp_path / "ca.pem").write_bytes(jane.ca_pem)
    (tmp_path / "other.pem").write_bytes(person("Mallory").ca_pem)
    order = ("report", "--format", "pdf", "--output", "signed.pdf", "--sign", "jane.p12")

    locked = quick(*order)
    wrong = quick(*order, env={"NIGHTSEAL_SIGN_PASSPHRASE": "close"})
    assert (locked.status, wrong.status) == (2, 2)
    assert "in the environment variable NIGHTSEAL_SIGN_PASSPHRASE" in locked.err
    assert "by the passphrase in NIGHTSEAL_SIGN_PASSPHRASE" in wrong.err
    assert not (tmp_path / "signed.pdf").exists()
    # In a process of its own: what is drawn here, byte for byte, is compared with what was drawn there.
    assert nightseal(*order, env={"NIGHTSEAL_SIGN_PASSPHRASE": secret}).status == 0

    done = quick("verify", "signed.pdf", "--trust", "ca.pem", "--history")
    assert done.status == 0, done
    assert "Signed by  Jane Reviewer" in done.out
    assert "leads to a trusted root" in done.out
    assert "History    the same verdicts" in done.out
    assert "Pages      byte for byte as rendered from it now" in done.out
    assert done.out.endswith("\nValid.\n")
    stranger = quick("verify", "signed.pdf", "--trust", "other.pem")
    assert stranger.status == 1
    assert "does not lead to a trusted root" in stranger.err
    assert "the signer's identity was not checked" in quick("verify", "signed.pdf").out

    assert quick("diff", "--since-report", "signed.pdf").out.startswith(f"From {two_hosts.run.id} to ")
    changed = bytearray((tmp_path / "signed.pdf").read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "changed.pdf").write_bytes(changed)
    assert quick("verify", "changed.pdf").status == 1
    refused = quick("diff", "--since-report", "changed.pdf")
    assert refused.status == 2
    assert "is not as it was signed" in refused.err

    # Whoever can sign may still have signed something else than the scanner recorded.
    shutil.rmtree(tmp_path / "history")
    first, *others = two_hosts.targets
    other = dataclasses.replace(first, verdicts=first.verdicts[1:])
    History.open(tmp_path / "history", create=True).append(RunRecord(two_hosts.run, (other, *others)))
    differs = quick("verify", "signed.pdf", "--history")
    assert differs.status == 1
    assert f"the history has other verdicts for 1 target, {first.id} first" in differs.err


def test_a_history_without_a_service_is_tidied_by_a_command(quick: Runner, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    history = History.open(tmp_path / "history", create=True)
    made, now = sample_record(), datetime.now(UTC)
    # Of two months at most: in one of them are enough to be put together.
    for number in range(2 * MANY_FILES):
        at = now - timedelta(minutes=2 * MANY_FILES - number)
        history.append(dataclasses.replace(made, run=dataclasses.replace(made.run, id=f"r{number:02}", started_at=at)))
    before, files = history.order(), len(history.tables.delta(RUNS).file_uris())

    done = quick("history", "tidy")

    assert done.status == 0, done.err
    assert done.out.startswith("Removed: evidence of 0 targets, 0 rows of broken runs, 0 files. Put together: ")
    assert len(history.tables.delta(RUNS).file_uris()) < files
    assert history.order() == before
    assert history.record(before[0]).targets == made.targets


def test_nothing_is_tidied_by_a_clock_that_may_be_wrong(quick: Runner, nights: Path, tmp_path: Path) -> None:
    """The nights are long past by now, and no run has been since."""
    shutil.copytree(nights, tmp_path, dirs_exist_ok=True)

    done = quick("history", "tidy")

    assert done.status == 2
    assert "nothing is cleaned up" in done.err
