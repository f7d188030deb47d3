"""The users of a fleet's broker, as `nightseal cluster certificates` writes them."""

from __future__ import annotations

import hashlib
import logging
import stat
from pathlib import Path

import pytest
from cryptography import x509

from scanner.app.handlers.cluster import certificates
from scanner.errors import UsageError
from scanner.fleet.certificates import make
from scanner.fleet.settings import FleetSettings
from scanner.fleet.users import make_users
from scanner.fleet.worker import in_words, work


def made(folder: Path, *zones: str) -> str:
    """What the broker is given."""
    make(folder, ["broker.example", "192.0.2.1"], zones)
    make_users(folder, ["broker.example", "192.0.2.1"], zones)
    return (folder / "broker" / "users.acl").read_text("utf-8")


def test_each_member_has_a_password_of_which_the_broker_has_the_digest(tmp_path: Path) -> None:
    users = made(tmp_path, "dmz", "plant")

    (line,) = (tmp_path / "zone-dmz" / "broker.env").read_text("utf-8").splitlines()
    assert line.startswith("NIGHTSEAL_BROKER=rediss://zone-dmz:")
    assert line.endswith("@broker.example:6379/0")
    password = line.split(":")[2].partition("@")[0]
    (ours,) = (tmp_path / "coordinator" / "broker.env").read_text("utf-8").splitlines()
    assert ours.startswith("BROKER_PASSWORD=")
    for secret in (password, ours.partition("=")[2]):
        assert len(secret) == 32
        assert secret not in users
        assert f"#{hashlib.sha256(secret.encode()).hexdigest()} " in users
    assert users.splitlines()[0] == "user default off"
    for file in tmp_path.glob("*/broker.env"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_made_again_nobody_has_another_password_and_no_zone_is_lost(tmp_path: Path) -> None:
    users = made(tmp_path, "dmz", "plant")
    assert made(tmp_path, "dmz") == users
    more = made(tmp_path, "office")
    assert set(users.splitlines()) < set(more.splitlines())
    assert "user zone-office on" in more


def test_the_port_of_the_broker_is_in_the_url_and_not_in_its_certificate(tmp_path: Path) -> None:
    for number, (host, name, at) in enumerate(
        [
            ("broker.example:16380", "broker.example", "broker.example:16380"),
            ("192.0.2.1:1", "192.0.2.1", "192.0.2.1:1"),
            ("[2001:db8::1]:16380", "2001:db8::1", "[2001:db8::1]:16380"),
            ("2001:db8::1", "2001:db8::1", "[2001:db8::1]:6379"),
        ]
    ):
        folder = tmp_path / str(number)
        assert certificates(folder, (host,), ("dmz",)) == 0
        assert (folder / "zone-dmz" / "broker.env").read_text("utf-8").endswith(f"@{at}/0\n")
        made = x509.load_pem_x509_certificate((folder / "broker" / "certificate.pem").read_bytes())
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(entry.value) for entry in names] == [name]


@pytest.mark.parametrize("host", ["broker.example:0", "broker.example:65536", "broker..example", "a b", "", "a:b"])
def test_what_is_no_broker_is_refused_before_anything_is_made(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match=r"^--host "):
        certificates(tmp_path / "fleet", (host,), ("dmz",))
    assert not (tmp_path / "fleet").exists()


def test_a_worker_with_the_user_of_another_zone_is_told_so() -> None:
    settings = FleetSettings("rediss://zone-dmz:secret@127.0.0.1:1/0")
    with pytest.raises(UsageError, match=r'--zone plant: .* is that of zone "dmz"') as told:
        work(settings, "plant", 1)
    assert "secret" not in str(told.value)


def test_why_a_worker_ends_is_a_sentence_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("celery.worker")
    log.addFilter(in_words)
    try:
        error = PermissionError("this user has no permissions to run the 'set' command")
        log.critical("Unrecoverable error: %r", "auth", exc_info=error)
    finally:
        log.removeFilter(in_words)

    (record,) = caplog.records
    assert record.getMessage().startswith("the worker ends: this user has no permissions to run the 'set' command (")
    assert record.exc_info is None


def test_no_zone_has_the_keys_of_one_that_begins_with_its_name(tmp_path: Path) -> None:
    users = dict(line.split(" ", 2)[1:] for line in made(tmp_path, "dmz", "dmz2").splitlines())

    keys = {part.partition("~")[2] for part in users["zone-dmz"].split() if "~" in part}
    assert "nightseal.zone.dmz" in keys
    assert {key for key in keys if "*" in key} == {
        "dmz@*.celery.pidbox",
        "_kombu.binding*.celery.pidbox",
        "nightseal.results.*",
    }
