"""The users of a fleet's broker, as `nightseal cluster certificates` writes them."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from scanner.fleet.certificates import make
from scanner.fleet.users import make_users


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


def test_no_zone_has_the_keys_of_one_that_begins_with_its_name(tmp_path: Path) -> None:
    users = dict(line.split(" ", 2)[1:] for line in made(tmp_path, "dmz", "dmz2").splitlines())

    keys = {part.partition("~")[2] for part in users["zone-dmz"].split() if "~" in part}
    assert "nightseal.zone.dmz" in keys
    assert {key for key in keys if "*" in key} == {
        "dmz@*.celery.pidbox",
        "_kombu.binding*.celery.pidbox",
        "nightseal.results.*",
    }
