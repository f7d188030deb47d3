"""Notifications from a real service to real receivers: mail by TLS, webhooks that refuse, are slow, or are not there."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select

from reports.deliver import deliver
from reports.message import Level, Message
from scanner.lab import Lab
from scanner.state.database import OUTBOX, open_state
from tests.build.ports import free_port
from tests.build.receivers import PASSWORD, MailServer, Webhook
from tests.build.service import Service, service, wait_for
from tests.conftest import Runner

SCHEDULE = """
[[schedule]]
name = "nightly"
cron = "0 0 1 1 *"
reports = ["json"]
notify = ["mail", "hook"]
confirm_after = "1s"
"""
RECEIVERS = """
[[notify]]
name = "mail"
url = "${MAIL_URL}"
[[notify]]
name = "hook"
url = "${HOOK_URL}"
"""
MESSAGE = Message(Level.INFO, "A title", "A text", "<p>A text</p>")


def mail_url(server: MailServer, password: str = PASSWORD) -> str:
    return f"mailtos://ward:{password}@localhost:{server.port}?to=ops@example.com&from=ward@example.com&mode=starttls"


def environ(server: MailServer, receiver: Webhook) -> dict[str, str]:
    return {"MAIL_URL": mail_url(server), "HOOK_URL": receiver.url, "SSL_CERT_FILE": str(server.ca_file)}


def try_again(running: Service) -> None:
    """As if the pauses of all messages were over."""
    with sqlite3.connect(running.folder / "nightseal.sqlite") as raw:
        raw.execute("UPDATE outbox SET not_before = created_at")


def test_mail_and_webhook_get_one_message_each_for_a_run_also_when_they_are_down_at_first(
    tmp_path: Path, small_lab: Lab, mail: MailServer, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.mood = 503
    given = environ(mail, hook)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with service(tmp_path, small_lab, "good", "expired", schedule=SCHEDULE, more=RECEIVERS) as running:
        running.start()
        wait_for(lambda: running.said("next start"), "the service")
        assert running.command("run", "--via-daemon", "--schedule", "nightly").returncode == 1
        wait_for(lambda: mail.mails, "a mail")
        wait_for(lambda: running.said("not delivered"), "a refusal")
        assert hook.bodies == []
        running.started[-1].send_signal(signal.SIGTERM)
        assert running.started[-1].wait(60) == 0

        hook.mood = 200
        running.start()
        wait_for(lambda: len(running.said("monitoring")) == 2, "the service")
        try_again(running)
        wait_for(lambda: hook.bodies, "the message, after a restart")
        assert running.command("run", "--via-daemon", "--schedule", "nightly").returncode == 1
        running.started[-1].send_signal(signal.SIGTERM)
        assert running.started[-1].wait(60) == 0

        assert len(mail.mails) == 1, "nothing changed in the second run"
        assert len(hook.bodies) == 1
        (letter,) = mail.mails
        assert "first look" in letter["Subject"]
        body = letter.get_body(("html",))
        assert body is not None
        assert "expired.lab.example:443" in body.get_content()
        (report,) = letter.iter_attachments()
        assert str(report.get_filename()).endswith(".json")
        assert hook.bodies[0]["type"] == "failure"
        assert "expired.lab.example:443" in hook.bodies[0]["message"]
        assert "<" not in hook.bodies[0]["message"]
        with open_state(tmp_path / "nightseal.sqlite").begin() as connection:
            assert all(row.delivered_at for row in connection.execute(select(OUTBOX)).all())
        for file in (running.log, tmp_path / "nightseal.sqlite"):
            kept = file.read_bytes()
            assert PASSWORD.encode() not in kept
            assert b"hush" not in kept


def test_a_receiver_is_tried_by_command(tmp_path: Path, mail: MailServer, hook: Webhook, quick: Runner) -> None:
    estate = '[[environment]]\nname = "e"\nkind = "on-premises"\n[[environment.endpoint]]\nhost = "a.example"\n'
    (tmp_path / "config.toml").write_text(estate + RECEIVERS)
    given = environ(mail, hook)

    taken = quick("notify", "test", "mail", env=given)
    assert taken.status == 0, taken.err
    assert mail.mails[0]["Subject"] == "Nightseal, test: a test"
    unknown = quick("notify", "test", "mial", env=given)
    assert unknown.status == 2
    assert 'did you mean "mail"?' in unknown.err

    wrong = quick("notify", "test", "mail", env={**given, "MAIL_URL": mail_url(mail, "battery-staple")})
    assert wrong.status == 4
    assert "did not take the message" in wrong.err
    assert "battery-staple" not in wrong.err
    distrusted = quick("notify", "test", "mail", env={**given, "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"})
    assert distrusted.status == 4, "a certificate that nobody vouches for is not taken"
    hook.mood = 500
    refused = quick("notify", "test", "hook", env=given)
    assert refused.status == 4
    assert "hush" not in refused.err

    # What the service refuses is refused here, in the same words, and nothing is sent.
    mail.mails.clear()
    (tmp_path / "config.toml").write_text(f'[nightseal]\npolicy = "mozila-modern"\n{estate}{RECEIVERS}')
    said = [quick(*command, env=given) for command in (("notify", "test", "mail"), ("config", "check"), ("run",))]
    assert [done.status for done in said] == [2, 2, 2]
    assert len({done.err for done in said}) == 1
    assert 'nightseal.policy: there is no policy "mozila-modern"' in said[0].err
    assert mail.mails == []


def test_a_receiver_that_answers_for_ever_is_given_up_in_time(hook: Webhook) -> None:
    hook.mood = "slow"
    # A busy machine may take longer to start the sender than it is waited for.
    for patience_s in (4, 60):
        slow = deliver(hook.url, MESSAGE, timeout_s=patience_s)
        assert not slow.delivered
        assert f"{patience_s} s" in slow.reason
        if hook.tries:
            break

    assert hook.tries == 1


def test_a_receiver_that_is_not_there() -> None:
    nowhere = deliver(f"json://127.0.0.1:{free_port()}/", MESSAGE)

    assert not nowhere.delivered
    assert "onnection" in nowhere.reason
