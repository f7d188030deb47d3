"""What owners are told: what is theirs alone, by their own thresholds; what is two owners' goes to both and says so."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select

from scanner.config.loading import parse
from scanner.notify.alarms import results_of
from scanner.notify.finished_run import FinishedRun
from scanner.state.database import OUTBOX
from scanner.state.ledger import Ledger
from tests.build.records import sample_record

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
CONFIG = """
[[schedule]]
name = "nightly"
cron = "0 2 * * *"
notify = ["all"]
[[notify]]
name = "all"
url = "json://127.0.0.1/"
[[notify]]
name = "apps-mail"
url = "json://127.0.0.1/"
[[notify]]
name = "mail-mail"
url = "json://127.0.0.1/"
severity = "high"
[[owner]]
name = "apps"
notify = ["apps-mail", "all"]
severity = "high"
[[owner]]
name = "intranet"
notify = ["mail-mail"]
severity = "medium"
[[owner]]
name = "postmaster"
notify = ["mail-mail"]
on = ["new-failure"]
digest = "run"
[[owner]]
name = "nobody"
notify = ["mail-mail"]
digest = "run"

[[environment]]
name = "production"
kind = "on-premises"
  [[environment.endpoint]]
  host = "mail.example.com"
  port = 25
  role = "server"
  starttls = "smtp"
  owner = "postmaster"
[[environment]]
name = "test"
kind = "on-premises"
  [[environment.application]]
  name = "Shop"
  kind = "traditional-web"
  host = "shop.test.example.com"
  owner = "apps"
  [[environment.application]]
  name = "Intranet"
  kind = "traditional-web"
  host = "shop.test.example.com"
  owner = "intranet"
[[environment]]
name = "legacy"
kind = "on-premises"
  [[environment.application]]
  name = "ERP"
  kind = "traditional-web"
  host = "erp.example.internal"
  owner = "apps"
"""


def told(engine: Engine, text: str = CONFIG) -> dict[tuple[str, str], str]:
    """The messages of a first run, by receiver and whose they are."""
    ledger = Ledger(engine)
    ledger.add_due("nightly", NOW)
    (start,) = ledger.waiting(NOW)
    ledger.claim(start, "run-0", "digest", NOW)
    config, record = parse(text, source="config.toml", folder=Path()), sample_record()
    reports = [Path("out/run.pdf")]
    start = ledger.get(start.id)
    finished = FinishedRun(config, config.schedules[0], start, record, None, results_of(record), reports, [])
    finished.tell(engine, NOW)
    with engine.begin() as connection:
        rows = connection.execute(select(OUTBOX)).all()
    return {
        (row.receiver, row.title.partition(":")[0].removeprefix("Nightseal, nightly").removeprefix(", ")): (
            f"{row.title}\n{row.text}\nfiles: {row.files}"
        )
        for row in rows
    }


def test_each_owner_is_told_what_is_theirs_and_by_their_own_threshold(engine: Engine) -> None:
    messages = told(engine)

    assert set(messages) == {
        ("all", ""), ("apps-mail", "apps"), ("mail-mail", "intranet"), ("mail-mail", "postmaster"),
    }, "the receiver of all is not told the same twice, and who owns nothing is told nothing"  # fmt: skip
    apps, intranet, mail = (
        messages[key] for key in (("apps-mail", "apps"), ("mail-mail", "intranet"), ("mail-mail", "postmaster"))
    )
    assert "legacy/erp.example.internal:443" in apps
    assert "mail.example.com" not in apps
    assert "[https.hsts]" not in apps, "of high severity alone"
    assert "[https.hsts]" in intranet, "of medium severity"
    assert "erp.example.internal" not in intranet
    assert "erp.example.internal" not in mail
    assert "not met" in mail.splitlines()[0], "nothing is of the receiver's high severity, so how things stand"
    assert "production: 1 target" in mail
    assert "legacy: 1 target" in apps
    assert "production" not in apps


def test_what_is_two_owners_goes_to_both_and_says_so(engine: Engine) -> None:
    messages = told(engine)

    assert "test/shop.test.example.com:443 (shared with intranet, told too)" in messages["apps-mail", "apps"]
    assert "test/shop.test.example.com:443 (shared with apps, told too)" in messages["mail-mail", "intranet"]
    assert "test/shop.test.example.com:443 (owner: apps, intranet)" in messages["all", ""]


def test_places_say_their_labels(engine: Engine) -> None:
    labelled = CONFIG.replace('owner = "intranet"', 'owner = "intranet"\n  labels = { tier = "1", site = "porto" }')
    labelled = labelled.replace('  owner = "postmaster"', '  labels = { tier = "3" }')
    message = told(engine, labelled)["all", ""]

    assert "test/shop.test.example.com:443 (owner: apps, intranet; site=porto, tier=1)" in message
    assert "production/mail.example.com:25 (tier=3)" in message


def test_places_say_how_their_owners_are_reached(engine: Engine) -> None:
    """Those that the schedule tells everything learn all contacts, an owner those of the others."""
    text = CONFIG.replace('name = "apps"\nnotify', 'name = "apps"\ncontact = "apps@example.com"\nnotify')
    text = text.replace('owner = "intranet"', 'owner = "intranet"\n  contact = "ext. 4711"')
    messages = told(engine, text)

    place = "test/shop.test.example.com:443"
    assert f"{place} (owner: apps, intranet; contact: apps@example.com, ext. 4711)" in messages["all", ""]
    assert f"{place} (shared with intranet (ext. 4711), told too)" in messages["apps-mail", "apps"]
    assert f"{place} (shared with apps (apps@example.com), told too)" in messages["mail-mail", "intranet"]


def test_titles_count_what_is_theirs(engine: Engine) -> None:
    messages = told(engine)

    title = messages["mail-mail", "intranet"].splitlines()[0]
    assert title == "Nightseal, nightly, intranet: first look: 2 not met, worst high, no new failure"


def test_a_title_that_leaves_out_the_milder_says_so(engine: Engine) -> None:
    """Beside it stands how many are not met, of any severity and at each address."""
    message = told(engine)["apps-mail", "apps"]

    assert message.startswith(
        "Nightseal, nightly, apps: first look: 3 not met (high or worse), worst high, no new failure\n"
    )
    assert "Current state, each address counted\n- test: 1 target, 2 not met" in message
    assert "legacy: 1 target, 5 not met" in message


def test_nouns_are_counted_again(engine: Engine) -> None:
    messages = told(engine, CONFIG.replace('on = ["new-failure"]\n', ""))

    assert messages["mail-mail", "postmaster"].startswith("Nightseal, nightly, postmaster: 1 certificate expiring\n")


def test_owners_get_no_report_of_everybodys_hosts(engine: Engine) -> None:
    messages = told(engine)

    assert "files: []" in messages["apps-mail", "apps"]
    assert "out/run.pdf" in messages["all", ""]


def test_without_owners_nothing_is_said_of_them(engine: Engine) -> None:
    text = "\n".join(line for line in CONFIG.splitlines() if "owner = " not in line)
    messages = told(engine, text)

    assert set(messages) == {("all", "")}
    assert "owner" not in messages["all", ""]
