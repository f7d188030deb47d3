"""The users of a fleet's broker: each zone sees its own queue, adds to what was found, and commands nobody.

A certificate says who may connect, not what for. So each member has a user with a password, and the broker a file that
says what each of them may do, one for Redis and one for RabbitMQ; of passwords they have only digests. In RabbitMQ,
whoever may add to one queue without an exchange of its own may add to each: there, zones are apart in what they read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from scanner.errors import OutputError
from scanner.fleet.certificates import write_file
from scanner.fleet.settings import (
    BROKER,
    COORDINATOR,
    PASSWORD_VARIABLE,
    URL_VARIABLE,
    member_of_zone,
    queue_of,
    unacked_keys,
)
from scanner.inventory import is_address

USERS, DEFINITIONS, PASSWORD = "users.acl", "definitions.json", "broker.env"
"""The broker's files of users, and the file of a member with the variable that has its password."""

_PORT: Final = 6379
_COMMANDS: Final = "&/0.celery.pidbox"
"""The channel by which a run that ends tells workers to leave off: a zone's user listens there and says nothing."""
_WORKER: Final = (
    "-@all +@read +@write +@transaction +@connection +@scripting +time "
    "+subscribe +psubscribe +unsubscribe +punsubscribe "
    "-@admin -@dangerous -scan -randomkey -dbsize -function -script +script|load +script|exists"
)


def make_users(folder: Path, hosts: Sequence[str], zones: Sequence[str], port: int | None = None) -> None:
    """Write what the broker knows of its users, and each member's password; one that is there is kept.

    Zones that were made before and are not named now stay users. `port` is the broker's, where it is not the usual one.

    Raises:
        OutputError: the folder can't be written.
    """
    try:
        host = f"[{hosts[0]}]" if is_address(hosts[0]) and ":" in hosts[0] else hosts[0]
        # Whoever has no user is nobody.
        lines = ["user default off"]
        password = _password(folder / COORDINATOR / PASSWORD)
        passwords = {COORDINATOR: password}
        _keep(folder / COORDINATOR / PASSWORD, f"{PASSWORD_VARIABLE}={password}")
        lines.append(_user(COORDINATOR, password, f"~nightseal.* ~_kombu.* {_COMMANDS} +@all -@admin -@dangerous"))
        before = {file.parent.name.removeprefix(member_of_zone("")) for file in folder.glob(f"zone-*/{PASSWORD}")}
        for zone in sorted(before | set(zones)):
            member = member_of_zone(zone)
            passwords[member] = password = _password(folder / member / PASSWORD)
            url = f"{URL_VARIABLE}=rediss://{member}:{password}@{host}:{port or _PORT}/0"
            _keep(folder / member / PASSWORD, url)
            lines.append(_user(member, password, f"{_keys(zone)} {_COMMANDS} {_WORKER}"))
        write_file(folder / BROKER / USERS, "".join(f"{line}\n" for line in lines).encode(), 0o600)
        write_file(folder / BROKER / DEFINITIONS, _definitions(passwords), 0o600)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from error


def _keys(zone: str) -> str:
    """What a zone's worker touches. In full: by the beginning of names, "dmz" would have the keys of "dmz2" too."""
    queue = queue_of(zone)
    own = (queue, f"_kombu.binding.{queue}", f"_kombu.binding_permanent.{queue}", *unacked_keys(member_of_zone(zone)))
    shared = (f"{zone}@*.celery.pidbox", "_kombu.binding_deadlines", "_kombu.binding*.celery.pidbox")
    return " ".join([*(f"~{key}" for key in (*own, *shared)), "%W~nightseal.results.*"])


def _user(name: str, password: str, may: str) -> str:
    return f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} resetkeys resetchannels {may}"


def _password(file: Path) -> str:
    """The one that is in a member's file, or a new one."""
    try:
        (kept,) = (line for line in file.read_text("utf-8").splitlines() if "=" in line)
    except (FileNotFoundError, ValueError):
        return secrets.token_urlsafe(24)
    variable, _, value = kept.partition("=")
    if variable == PASSWORD_VARIABLE:
        return value
    return value.partition("@")[0].rpartition(":")[2]


def _keep(file: Path, line: str) -> None:
    write_file(file, f"{line}\n".encode(), 0o600)


def _definitions(passwords: Mapping[str, str]) -> bytes:
    """The same for RabbitMQ (`load_definitions`): patterns of what a user may make, add to and read."""
    zones = [name.removeprefix(member_of_zone("")) for name in passwords if name != COORDINATOR]
    may = {COORDINATOR: (r"^(nightseal\.|celery\.|reply\.celery\.)", ".*", ".*")}
    for zone in zones:
        queue, own = re.escape(queue_of(zone)), rf"{re.escape(zone)}@.*\.celery\.pidbox"
        may[member_of_zone(zone)] = (
            rf"^({queue}|nightseal\.results\..*|{own}|(reply\.)?celery\.pidbox)$",
            rf"^({queue}|amq\.default|{own})$",
            rf"^({queue}|celery\.pidbox|{own})$",
        )
    permissions = [
        {"user": name, "vhost": "/", "configure": make, "write": add, "read": read}
        for name, (make, add, read) in may.items()
    ]
    users = [
        {
            "name": name,
            "password_hash": _salted(password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": [],
        }
        for name, password in passwords.items()
    ]
    made = {"users": users, "vhosts": [{"name": "/"}], "permissions": permissions}
    return (json.dumps(made, indent=1) + "\n").encode()


def _salted(password: str) -> str:
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
