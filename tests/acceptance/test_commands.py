"""The commands as people and scripts use them: real servers, real files, statuses, streams, bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pikepdf
import psutil
import pytest

from reports.export.json.v1 import published_schema
from scanner.history import History
from scanner.lab import Lab, LabServer
from tests.build.preloaded import Started
from tests.conftest import COMMAND_SECONDS, PYTHONPATH, Done, Runner, reach

ESCAPE = "\x1b"


def write_config(folder: Path, *endpoints: str, scan: str = 'timeout = "2s"\ndeadline = "15s"') -> None:
    text = f'[scan]\n{scan}\n[[environment]]\nname = "e"\nkind = "on-premises"\n'
    (folder / "config.toml").write_text(text + "\n".join(f"[[environment.endpoint]]\n{item}" for item in endpoints))


def endpoint(lab: Lab, name: str) -> str:
    server = lab.servers[name]
    role = "server" if server.starttls else "application"
    starttls = f'\nstarttls = "{server.starttls}"' if server.starttls else ""
    return f'host = "{server.host}"\nport = {server.port}\nrole = "{role}"{starttls}'


def test_scan_of_a_good_host(lab: Lab, nightseal: Runner, tmp_path: Path) -> None:
    done = nightseal("scan", "good.lab.example", *reach(lab, "good"))

    assert done.status == 0, done.out
    assert "good.lab.example:443" in done.out
    assert done.err == "", "no progress where stderr is no terminal"
    assert ESCAPE not in done.out
    assert not list(tmp_path.iterdir()), "it keeps nothing"


def test_scan_as_json_matches_the_schema(lab: Lab, quick: Runner) -> None:
    done = quick(
        "scan", "expired.lab.example", "smtp://smtp-starttls.lab.example", "--format", "json",
        *reach(lab, "expired", "smtp-starttls"),
    )  # fmt: skip

    assert done.status == 1
    jsonschema.validate(done.json, published_schema())
    assert done.json["summary"]["targets"] == 2
    assert {target["starttls"] for target in done.json["targets"]} == {None, "smtp"}
    failed = {v["rule"] for target in done.json["targets"] for v in target["verdicts"] if v["status"] == "fail"}
    assert "cert.valid-now" in failed


def test_looking_at_part(lab: Lab, quick: Runner) -> None:
    scan = ["scan", "expired.lab.example", *reach(lab, "expired")]

    skipped = quick(*scan, "--skip", "cert.*", "--format", "json")
    verdicts = {verdict["rule"]: verdict for verdict in skipped.json["targets"][0]["verdicts"]}
    assert (verdicts["cert.valid-now"]["status"], verdicts["cert.valid-now"]["reason"]) == (
        "not-applicable",
        "not-asked",
    )
    assert skipped.status == 0, "what was left out decides nothing"
    assert quick(*scan, "--rule", "proto.*").status == 0
    assert quick(*scan, "--fail-on-rule", "cert.valid-now").status == 1
    assert quick(*scan, "--fail-on-rule", "proto.*").status == 0


def without_moments(text: str) -> list[str]:
    """Lines that do not tell when and how long somebody looked."""
    return [line for line in text.splitlines() if "looked at" not in line and "UTC" not in line]


def test_looking_at_the_facts_and_at_a_list(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    listed = tmp_path / "hosts.txt"
    listed.write_text("good.lab.example  # the good one\nexpired.lab.example\n")
    reached = reach(lab, "good", "expired")

    lines = quick("scan", "--file", str(listed), "--summary", *reached)
    assert lines.status == 1
    assert [line.split()[0] for line in lines.out.splitlines()] == ["good.lab.example:443", "expired.lab.example:443"]
    facts = quick("scan", "good.lab.example", "--show", "certificate", *reached).out
    assert "Certificate chain 1" in facts
    assert "Protocols" not in facts
    named = quick("scan", "good.lab.example", "--certificate", *reached).out
    assert without_moments(named) == without_moments(facts), "a view has an option of its own"
    ciphers = quick("scan", "good.lab.example", "--ciphers", *reached).out
    assert "TLS_AES_" in ciphers
    assert "Certificate chain 1" not in ciphers
    assert "ALPN" not in ciphers
    quiet = quick("scan", "expired.lab.example", "--quiet", *reached)
    assert (quiet.status, quiet.out, quiet.err) == (1, "", "")
    both = quick("scan", "good.lab.example", "--show", "http", "--format", "json")
    assert both.status == 2
    assert "leave one out" in both.err


def test_fail_on_decides_the_status(lab: Lab, quick: Runner) -> None:
    options = ["scan", "temporary-redirect.lab.example", *reach(lab, "temporary-redirect")]

    assert quick(*options, "--fail-on", "low").status == 1
    assert quick(*options, "--fail-on", "critical").status == 0


def test_what_could_not_be_assessed_is_status_3(lab: Lab, quick: Runner) -> None:
    done = quick("scan", "silent.lab.example", "--deadline", "6", *reach(lab, "silent"))

    assert done.status == 3
    assert "no answer came in time" in done.out
    refused = quick("scan", "closed-port.lab.example", *reach(lab, "closed-port"))
    assert refused.status == 3
    assert "refused" in refused.out
    unresolvable = quick("scan", "no-such-host.invalid")
    assert unresolvable.status == 3
    assert "does not resolve" in unresolvable.out or "resolver" in unresolvable.out


def test_a_port_that_speaks_no_tls_fails(lab: Lab, quick: Runner) -> None:
    done = quick("scan", "plain-http-on-tls-port.lab.example", *reach(lab, "plain-http-on-tls-port"))

    assert done.status == 1
    assert "https.active" in done.out


def test_another_policy_and_engine(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    (tmp_path / "sslyze.toml").write_text('[scan]\nengine = "sslyze"\n')
    done = quick(
        "scan", "no-tls1-3.lab.example", "--config", "sslyze.toml", "--policy", "mozilla-modern", "--format", "json",
        *reach(lab, "no-tls1.3"),
    )  # fmt: skip

    failed = {verdict["rule"] for verdict in done.json["targets"][0]["verdicts"] if verdict["status"] == "fail"}
    assert done.status == 1
    assert {"proto.no-tls1.2", "proto.tls1.3"} <= failed
    assert done.json["run"]["policy"]["id"] == "mozilla-modern"
    assert done.json["targets"][0]["connections"] > 500, "one for each cipher suite"


def test_run_history_report_and_diff(lab: Lab, nightseal: Runner, quick: Runner, tmp_path: Path) -> None:
    write_config(tmp_path, endpoint(lab, "good"), endpoint(lab, "expired"), endpoint(lab, "hostile-certificate"))
    first = nightseal("run", *reach(lab))
    second = quick("run", "--format", "json", "--output", "again.json", *reach(lab))

    assert (first.status, second.status) == (1, 1)
    html, pdf = (Path(line.removeprefix("Report: ")) for line in first.out.splitlines() if line.startswith("Report: "))
    assert html.suffix == ".html"
    page = (tmp_path / html).read_text()
    assert "<script>alert" not in page
    assert ESCAPE not in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//(?!\S*["'] rel)""", _without_links(page)), "asks nobody"
    with pikepdf.open(tmp_path / pdf) as document:
        assert document.Root.MarkInfo.Marked
        assert document.Root.Lang == "en"
        table, evidence, name = sorted(document.attachments)
        assert (Path(table).suffix, Path(evidence).suffixes[-2:]) == (".csv", [".evidence", ".json"])
        assert Path(name).stem == Path(table).stem
        assert document.attachments[table].get_file().read_bytes().startswith(b"run,started_at,")
        attached = json.loads(document.attachments[name].get_file().read_bytes())
    jsonschema.validate(attached, published_schema())
    command = ["pdftotext", "-layout", tmp_path / pdf, "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "expired.lab.example" in text
    assert "Page 1 of" in " ".join(text.split())

    runs = quick("history", "runs", "--format", "json")
    ids = [run["run_id"] for run in runs.json]
    assert len(ids) == 2
    targets = quick("history", "targets", "--format", "json")
    assert len(targets.json) == 3
    target = quick("history", "target", "expired.lab.example")
    assert "cert.valid-now" in target.out
    assert quick("history", "target", "lab.example").status == 2, "several"
    assert "expired.lab.example" in quick("history", "certificates").out
    assert quick("diff").out.startswith(f"From {ids[0]} to {ids[1]}")
    again = quick("report", "--run", ids[0], "--format", "json", "--output", "-")
    assert again.json["run"]["id"] == ids[0]
    assert quick("report", "--run", ids[0], "--format", "pdf", "--output", "same.pdf").status == 0
    assert quick("report", "--run", "nonsense").status == 2


def _without_links(page: str) -> str:
    """The page without anchors: a link is followed by its reader alone."""
    return re.sub(r"<a\b[^>]*>", "", page)


def test_a_waiver_is_shown_and_does_not_fail(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    write_config(tmp_path, endpoint(lab, "self-signed"))
    waiver = f'scope = "e/self-signed.lab.example"\nreason = "lab"\nowner = "us"\nexpires = {datetime.now(UTC).date() + timedelta(days=30)}\n'
    with (tmp_path / "config.toml").open("a") as file:
        file.write("".join(f'\n[[waiver]]\nrule = "{rule}"\n{waiver}' for rule in ("cert.trusted", "cert.domain")))

    done = quick("run", "--format", "json", "--output", "-", *reach(lab))

    assert done.status == 0, done.json["summary"]
    assert done.json["summary"]["waived"] == 2
    waived = [v for v in done.json["targets"][0]["verdicts"] if v["waiver"]]
    assert {v["status"] for v in waived} == {"fail"}


def test_unusable_places_are_found_before_anything_is_scanned(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    write_config(tmp_path, endpoint(lab, "silent"))
    (tmp_path / "out").write_text("a file")
    blocked = quick("run", *reach(lab, "silent"))
    assert blocked.status == 2
    assert "out is not a directory" in blocked.err
    (tmp_path / "out").unlink()

    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "thesis.txt").write_text("precious")
    foreign = quick("run", *reach(lab, "silent"))
    assert foreign.status == 2
    assert "history" in foreign.err
    assert [item.name for item in (tmp_path / "history").iterdir()] == ["thesis.txt"], "nothing was written into it"

    empty = tmp_path / "empty.toml"
    empty.write_text("")
    nothing = quick("run", "--config", "empty.toml")
    assert nothing.status == 2
    assert "nothing is configured to be scanned" in nothing.err
    unknown = quick("run", "--environment", "prod")
    assert unknown.status == 2
    assert 'has no environment "prod"' in unknown.err


def start(tmp_path: Path, *arguments: str) -> Started:
    # What a shell starts in the background ignores SIGINT, and what nohup starts SIGHUP; so would everything below it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    env = {**os.environ, "PYTHONPATH": PYTHONPATH}
    return Started(arguments, cwd=tmp_path, env=env)


def wait_until_busy(process: Started, server: LabServer) -> None:
    """Until the run has begun to scan: it is connected to `server` then."""
    here = psutil.Process(process.pid)
    ends = time.monotonic() + COMMAND_SECONDS
    while time.monotonic() < ends:
        if process.poll() is not None:
            pytest.fail(f"it ended by itself: {process.communicate()}")
        peers = [connection.raddr for connection in here.net_connections("tcp")]
        if (server.address, server.actual_port) in peers:
            return
        time.sleep(0.02)
    pytest.fail("it never began")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_told_to_end_it_keeps_and_reports_what_was_finished(
    lab: Lab, quick: Runner, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    # The silent server is waited for long enough to be interrupted on the busiest machine; and not until the closed port
    # is done, because one is looked at after the other.
    scan = 'timeout = "10m"\ndeadline = "20m"\nconcurrency = 1'
    write_config(tmp_path, endpoint(lab, "closed-port"), endpoint(lab, "silent"), scan=scan)
    wanted = ("--format", "html", "--format", "json")
    process = start(tmp_path, "run", "--quiet", *wanted, *reach(lab, "closed-port", "silent"))
    wait_until_busy(process, lab.servers["silent"])
    process.send_signal(number)
    _, err = process.communicate(timeout=COMMAND_SECONDS)

    assert process.returncode == status, err
    assert b"Traceback" not in err
    (run,) = quick("history", "runs", "--format", "json").json
    assert run["complete"] is False
    assert {path.suffix for path in (tmp_path / "out").glob(f"{run['run_id']}.*")} == {".html", ".json"}


def test_killed_in_the_middle_it_leaves_the_history_whole(lab: Lab, quick: Runner, tmp_path: Path) -> None:
    write_config(tmp_path, endpoint(lab, "good"))
    assert quick("run", "--format", "json", "--output", "r.json", *reach(lab, "good")).status == 0
    write_config(tmp_path, endpoint(lab, "good"), endpoint(lab, "silent"))
    process = start(tmp_path, "run", "--quiet", *reach(lab, "good", "silent"))
    wait_until_busy(process, lab.servers["silent"])
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    history = History.open(tmp_path / "history", create=False)
    (run_id,) = history.runs()["run_id"].astype(str)
    assert history.record(run_id).targets[0].evidence is not None
    assert quick("run", "--format", "json", "--output", "r.json", *reach(lab, "good", "silent")).status == 3
    assert len(history.runs()) == 2


def test_doctor_finds_this_machine_fit(nightseal: Runner) -> None:
    done: Done = nightseal("doctor")

    assert done.status == 0, done.out
    assert "LACK" not in done.out
