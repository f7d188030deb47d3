"""Reports that take for ever to draw, and a process that draws which is killed: what receivers are told all the same."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from scanner.lab import Lab
from scanner.state.ledger import State
from tests.build.daemon import ended, make_overdue, ready, schedule, stop
from tests.build.receivers import PASSWORD, MailServer, Webhook
from tests.build.service import Service, service, wait_for

WITHOUT_END = "{% for _ in range(10**15) %}{% endfor %}"
MORE = """
[[notify]]
name = "mail"
url = "${MAIL_URL}"
[[notify]]
name = "hook"
url = "${HOOK_URL}"
attach = "never"
[report]
templates = "own"
"""


def processes(running: Service, module: str) -> list[psutil.Process]:
    """Those of the service that run a module of ours."""
    found = []
    for process in psutil.Process(running.started[-1].pid).children(recursive=True):
        try:
            if module in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_nobody_waits_for_what_is_drawn_and_its_crash_is_told(
    tmp_path: Path, small_lab: Lab, mail: MailServer, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_url = f"mailtos://ward:{PASSWORD}@localhost:{mail.port}?to=o@example.com&from=w@example.com&mode=starttls"
    given = {"MAIL_URL": mail_url, "HOOK_URL": hook.url, "SSL_CERT_FILE": str(mail.ca_file)}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "report.html").write_text(WITHOUT_END)
    keys = {"notify": ["mail", "hook"], "reports": ["json", "html"]}
    with service(tmp_path, small_lab, "good", "expired", schedule=schedule(**keys), more=MORE) as running:
        running.real_runs = True  # they are found by their command lines
        ready(running)
        stop(running)
        make_overdue(tmp_path, 3600)
        ready(running)
        wait_for(lambda: hook.bodies, "the message that takes no report along")
        wait_for(lambda: list(tmp_path.glob("out/*.json")), "the report that takes no time")
        (drawing,) = processes(running, "scanner.service.report_worker")
        assert drawing.nice() == psutil.Process().nice() + 3
        assert running.starts()[0].state is State.TOLD
        assert mail.mails == [], "it waits for the reports that it takes along"

        psutil.Process(running.starts()[0].pid).kill()
        wait_for(lambda: not drawing.is_running() or drawing.status() == psutil.STATUS_ZOMBIE, "its end with the run")
        wait_for(lambda: processes(running, "scanner.service.report_worker"), "another that draws")
        wait_for(lambda: running.starts()[0].recoveries == 1, "the recovery")
        (drawing,) = processes(running, "scanner.service.report_worker")
        drawing.kill()
        ended(running, State.DONE)
        wait_for(lambda: len(hook.bodies) == 2, "what is told of the crash")
        wait_for(lambda: len(mail.mails) == 2, "both mails")
        stop(running)
        (start,) = running.starts()

    crash = "Not all reports were written: the process that draws them was ended by SIGKILL"
    assert crash in start.reason
    subjects = [str(letter["Subject"]) for letter in mail.mails]
    assert "first look" in subjects[0]
    assert subjects[1].endswith("reports are missing")
    assert [str(file.get_filename()).endswith(".json") for file in mail.mails[0].iter_attachments()] == [True]
    assert not list(mail.mails[1].iter_attachments())
    assert "first look" in hook.bodies[0]["title"]
    assert crash in hook.bodies[1]["message"]
