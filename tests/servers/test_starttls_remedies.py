"""Servers that are told to take no login in plain take none: the real programs, before the advice and after it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scanner.rules import all_rules
from tests.build.ports import free_port
from tests.build.programs import PROGRAMS
from tests.build.remedied import mended_by_word, postfix
from tests.build.servers import HOST, Servers, program, servers
from tests.conftest import Runner

_BASES = {item.name: item for item in PROGRAMS}
_HBA = "local all all trust\n"
Start = Callable[[Servers, Path, str, int], None]
"""Given the servers, a folder, the settings and a port: starts the program there."""


def _postgresql(started: Servers, home: Path, settings: str, port: int) -> None:
    *before, script = _BASES["postgresql"].starts(home, port, home / "server.pem")
    (home / "hba").write_text(f"{_HBA}{settings}\n", encoding="utf-8")
    copied = script.replace("&& exec", f"&& cp {home}/hba {home}/data/pg_hba.conf && exec")
    started.run([*before, copied], port)
    # It listens before it is at service, and tells those who come too early.
    ready = max(Path("/usr/lib/postgresql").glob("*/bin/pg_isready"))
    while subprocess.run([ready, "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode:
        time.sleep(0.1)


def _openldap(started: Servers, home: Path, settings: str, port: int) -> None:
    *_, config, _, _ = command = list(_BASES["slapd"].starts(home, port, home / "server.pem"))
    assert config.endswith("slapd.conf")
    tree = home / "slapd.d"
    tree.mkdir()
    convert = [program("slaptest", "slapd"), "-n", "0", "-f", config, "-F", str(tree)]
    add = f"printf '%s\\n' '{settings}' >> '{tree}/cn=config.ldif'"
    run = [command[0], "-d", "0", "-F", str(tree), "-h", f"ldap://127.0.0.2:{port}"]
    started.run(["sh", "-ec", f"{' '.join(convert)}; {add}; exec {' '.join(run)}"], port, "127.0.0.2")


def _dovecot(started: Servers, home: Path, settings: str, port: int) -> None:
    command = _BASES["dovecot"].starts(home, port, home / "server.pem")
    path = home / "dovecot.conf"
    text = path.read_text(encoding="utf-8").replace("ssl = required\n", f"{settings}\n")
    text = text.replace("inet_listener imap {\n    port = 0", f"inet_listener imap {{\n    port = {port}")
    text = text.replace(f"imaps {{\n    port = {port}", "imaps {\n    port = 0").replace("127.0.0.1", "127.0.0.2")
    path.write_text(f"{text}passdb {{\n  driver = static\n  args = nopassword=y\n}}\n", encoding="utf-8")
    started.run(command, port, "127.0.0.2")


def _postfix(started: Servers, home: Path, settings: str, port: int) -> None:
    """Postfix asks Dovecot who may log in, as it is run with it."""
    auth = home / "auth"
    auth.mkdir()
    (auth / "server.pem").write_bytes((home / "server.pem").read_bytes())
    other = free_port()
    command = _BASES["dovecot"].starts(auth, other, auth / "server.pem")
    listener = f"service auth {{\n  unix_listener {home}/login {{\n    mode = 0666\n  }}\n}}\n"
    with (auth / "dovecot.conf").open("a", encoding="utf-8") as file:
        file.write(f"passdb {{\n  driver = static\n  args = nopassword=y\n}}\n{listener}")
    started.run(command, other)
    sasl = f"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {home}/login\n"
    started.run(postfix(["", str(port), str(home / "server.pem")], home, f"{sasl}{settings}"), port)


PLAIN: dict[str, tuple[str, str, str, Start]] = {
    "postgresql": ("postgres", "127.0.0.1", "host all all all scram-sha-256", _postgresql),
    "openldap": ("ldap", "127.0.0.2", "olcSecurity: ssf=0", _openldap),
    # Dovecot takes whoever comes from its own address for safe.
    "dovecot": ("imap", "127.0.0.2", "disable_plaintext_auth = no\nssl = yes", _dovecot),
    "postfix": ("smtp", "127.0.0.1", "smtpd_tls_auth_only = no", _postfix),
}
"""By program: the protocol, the address, what is wrong, and how it is started."""


def taken(quick: Runner, tmp_path: Path, key: str, settings: str) -> tuple[str, str]:
    """The verdict on logins in plain, and what it says."""
    scheme, address, _, start = PLAIN[key]
    port = free_port()
    tmp_path.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=f"nightseal-{port}-", ignore_cleanup_errors=True) as name,
        servers(tmp_path) as started,
    ):
        home = Path(name)
        home.chmod(0o755)
        (home / "server.pem").write_bytes(started.identities["rsa"].read_bytes())
        (home / "server.pem").chmod(0o644)
        start(started, home, settings, port)
        there = ("--connect-to", f"{HOST}:{port}={address}:{port}", "--format", "json", "--rule", "starttls.required")
        (target,) = quick("scan", f"{scheme}://{HOST}:{port}", *there).json["targets"]
    (found,) = (item for item in target["verdicts"] if item["rule"] == "starttls.required")
    return found["status"], found["message"]


@pytest.mark.servers
@pytest.mark.timeout(300)
@pytest.mark.parametrize("key", PLAIN)
def test_the_advice_against_logins_in_plain_mends_it(quick: Runner, tmp_path: Path, key: str) -> None:
    wrong, advice = PLAIN[key][2], all_rules()["starttls.required"].fix.servers[key]
    told = "\n".join(line for line in advice.splitlines() if not line.startswith("#"))
    fixed = told if key in {"postgresql", "openldap"} else mended_by_word(wrong, told)

    before = taken(quick, tmp_path / "before", key, wrong)
    after = taken(quick, tmp_path / "after", key, fixed)
    assert (before[0], after[0]) == ("fail", "pass"), (before, after)
