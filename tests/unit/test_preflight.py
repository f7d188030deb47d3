"""What `config check`, `run`, the service's start and its reload say of a configuration before anything is scanned."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scanner.config.loading import load
from scanner.errors import ConfigError
from scanner.service import preflight, preflight_places, setup
from scanner.service.address import http_address
from scanner.state.database import open_state
from tests.build.client_certificates import client_certificate

HEAD = """
[[environment]]
name = "production"
kind = "on-premises"
  [[environment.endpoint]]
  host = "a.example"
"""
SCHEDULE = '[[schedule]]\nname = "nightly"\ncron = "0 2 * * *"\n'
WITH_CLIENT = """
  [[environment.application]]
  name = "Shop"
  kind = "traditional-web"
  host = "shop.example"
  https = "tls-client-certificate"
  client_certificate = { cert = "client.pem", key = "client.key" }
"""


def checked(folder: Path, text: str) -> preflight.Checked:
    (folder / "config.toml").write_text(text, "utf-8")
    return preflight.check(load(folder / "config.toml"))


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(folder, text)
    # The service's start and its reload go by the same function.
    if "[[schedule]]" in text:
        with pytest.raises(ConfigError) as again:
            setup.load(folder / "config.toml")
        assert str(again.value) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "environment: nothing is configured to be scanned"),
        (HEAD + SCHEDULE + 'policy = "mozila-modern"', 'there is no policy "mozila-modern" (did you mean "mozilla-'),
        (HEAD + SCHEDULE + 'policy = "mozila-modern"', 'schedule[nightly].policy: there is no policy "mozila'),
        (HEAD + SCHEDULE + 'policy = "own.toml"', "schedule[nightly].policy: .*own.toml cannot be read: No such file"),
        ('[nightseal]\npolicy = "own.toml"\n' + HEAD, "nightseal.policy: .*own.toml cannot be read: No such file"),
        (HEAD.replace("kind", 'policy = "nope"\nkind'), 'environment[production].policy: there is no policy "nope"'),
        (
            HEAD + '[scan]\nct_logs = "logs.json"',
            "scan.ct_logs: list of logs .*logs.json: cannot be read: No such file",
        ),
        (HEAD + '[scan]\nct_logs = "config.toml"', "is not in the form of Chrome's"),
        (HEAD + '[scan]\npublished_keys = "keys.dat"', "scan.published_keys: .*keys.dat cannot be read: No such file"),
        (HEAD + '[scan]\npublished_keys = "odd.dat"', "scan.published_keys: .*odd.dat is not a list of keys"),
        (
            HEAD + '[dispatch]\nengine = "celery"\nbroker = "amqqs://b.example"',
            "dispatch: amqqs://b.example: not a broker",
        ),
        (
            HEAD + '[dispatch]\nengine = "celery"\nbroker = "redis://b.example"',
            "dispatch: .* would not use TLS",
        ),
        (
            HEAD + '[dispatch]\nengine = "celery"\nbroker = "rediss://b.example"\ncertificates = "gone"',
            "dispatch: .*gone/ca.pem: there is no such file",
        ),
        (HEAD + '[scan]\nproxy = "https://a.example:1"', "scan.proxy: a proxy of the scheme"),
        (HEAD + '[scan]\nproxy = "http://"', "scan.proxy: a proxy's address has a host"),
        (HEAD + '[scan]\nproxy = "http://a.example:99999"', "scan.proxy: a proxy's address has a host"),
        (HEAD + SCHEDULE + 'environments = ["prod*", "test*"]', 'no environment matches "test*"'),
        (HEAD + SCHEDULE + 'environments = ["producton*"]', '(did you mean "production"?)'),
        (HEAD + SCHEDULE + "[scan]\ntrust_store = 'ca.pem'", "scan.trust_store: trust store"),
        (HEAD + '[report]\nlogo = "logo.svg"', "report.logo: "),
        (HEAD + '[report]\ntemplates = "own"', "report.templates: "),
        (
            HEAD + '[report]\ntemplates = "/etc"',
            "replace a built-in one (the files in it must have the names of the built-in ones: report",
        ),
        (HEAD + '[report]\nlocale = "xx"', "report.locale: "),
        (HEAD + '[daemon]\nhttp = "9745"', 'daemon.http: "9745" should be an address and a port'),
        (HEAD + '[daemon]\nhttp = "127.0.0.1:70000"', "should have a port up to 65535"),
        (HEAD + '[daemon]\nhttp = "300.0.0.1:9745"', "should have an IPv4 address of four numbers up to 255"),
        (HEAD + '[daemon]\nhttp = "1.2.3:9745"', "should have an IPv4 address of four numbers up to 255"),
        (HEAD + '[daemon]\nhttp = "[::g]:9745"', "should have an IPv6 address between the brackets"),
        (HEAD + '[daemon]\nhttp = "[127.0.0.1]:9745"', "should have an IPv6 address between the brackets"),
        (HEAD + '[daemon]\nhttp = "[::1:9745"', "should have an IPv6 address in brackets"),
        (HEAD + '[daemon]\nhttp = "local host:9745"', "should have a host: it is not a host name"),
        (HEAD + '[daemon]\nhttp = "::1:9745"', "should have an IPv6 address in brackets"),
        (HEAD + SCHEDULE + '[daemon]\nstate = "gone/nightseal.sqlite"', "daemon.state: there is no directory "),
        (HEAD + '[nightseal]\nhistory = "config.toml"', "config.toml is not a directory"),
        (HEAD + '[nightseal]\nhistory = "config.toml/x"', "config.toml is not a directory"),
        (HEAD + '[nightseal]\noutput = "config.toml"', "nightseal.output: "),
        (HEAD + '[nightseal]\noutput = "s3://bucket/out"', "nightseal.output: s3://bucket/out is not a directory"),
        (HEAD + '[nightseal]\noutput = "/proc/x"', "nightseal.output: /proc is on the file system proc, which shows"),
        (HEAD + '[nightseal]\noutput = "/proc/self/fd"', "is on the file system proc"),
        (HEAD + '[nightseal]\nhistory = "/proc/h"', "nightseal.history: /proc is on the file system proc"),
        (HEAD + '[nightseal]\noutput = "/sys/x/y"', "nightseal.output: /sys is on the file system sysfs"),
        (HEAD + '[nightseal]\noutput = "/dev/null"', "nightseal.output: /dev/null is not a directory"),
        (HEAD + '[nightseal]\noutput = "/dev/null/x"', "nightseal.output: /dev/null is not a directory"),
        (HEAD + '[nightseal]\noutput = "config.toml/a/b"', "config.toml is not a directory"),
        (HEAD + '[nightseal]\noutput = "a\\u0000b"', "nightseal.output: contains a NUL"),
        (HEAD + SCHEDULE + '[daemon]\nstate = "/proc/s.sqlite"', "daemon.state: /proc is on the file system proc"),
        (
            HEAD + '[nightseal]\nhistory = "s4://bucket/h"',
            'nightseal.history: "s4" is not the scheme of an object store',
        ),
        (HEAD + SCHEDULE + '[daemon]\nstate = "."', "daemon.state: .* is not a file"),
        (HEAD + SCHEDULE + '[daemon]\nstate = "config.toml"', "daemon.state: .*config.toml is not a state file"),
        (HEAD + SCHEDULE + '[daemon]\nsocket = "gone/s"', "daemon.socket: there is no directory .*gone"),
        (HEAD + SCHEDULE + '[daemon]\nsocket = "config.toml"', "config.toml exists and is not a socket"),
        (HEAD + '[nightseal]\nhistory = "."', "nightseal.history: .* is not a history (it holds config.toml)"),
        (HEAD + '[[notify]]\nname = "n"\nurl = "nothing:at:all"', "notify[n].url: is not an address that Apprise"),
        (HEAD + WITH_CLIENT, "client_certificate.cert: .*client.pem cannot be read: No such file"),
    ],
)
def test_what_the_night_would_find_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    if "odd.dat" in text:
        (tmp_path / "odd.dat").write_bytes(b"17 bytes, not 16.")
    assert re.search(re.escape(expected).replace(r"\.\*", ".*"), refused(tmp_path, text))


def test_a_policy_that_another_extends_is_told_of_that_one(tmp_path: Path) -> None:
    head = '[policy]\nid = "own"\ntitle = "Own"\nversion = "1"\ndate = 2026-01-01\n'
    (tmp_path / "own.toml").write_text(head + 'extends = "base.toml"\n')

    said = refused(tmp_path, HEAD + SCHEDULE + 'policy = "own.toml"')

    assert re.search(r"own\.toml: policy\.extends: .*base\.toml cannot be read: No such file", said)


@pytest.mark.parametrize("proxy", ["ops:Planted5ecret@a.example:1", "http:/ops:Planted5ecret@a.example"])
def test_a_proxy_without_a_scheme_is_refused_without_being_told(proxy: str, tmp_path: Path) -> None:
    said = refused(tmp_path, HEAD + f'[scan]\nproxy = "{proxy}"')

    assert "scan.proxy: a proxy's address begins with its scheme" in said
    assert "Planted5ecret" not in said


def test_a_state_file_of_a_newer_version_is_refused_and_nothing_is_made_beside_it(tmp_path: Path) -> None:
    state = tmp_path / "nightseal.sqlite"
    open_state(state).dispose()
    assert checked(tmp_path, HEAD + SCHEDULE).warnings == ()
    with contextlib.closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("UPDATE about SET value = '99' WHERE key = 'version'")
    before = {path.name for path in tmp_path.iterdir()}

    assert "nightseal.sqlite was written by a newer Nightseal (version 99 of its form)" in refused(
        tmp_path, HEAD + SCHEDULE
    )
    assert {path.name for path in tmp_path.iterdir()} == before


def test_all_of_it_is_told_at_once(tmp_path: Path) -> None:
    said = refused(
        tmp_path,
        HEAD.replace('name = "production"', 'name = "production"\npolicy = "no-such"\ntrust_store = "gone.pem"')
        + SCHEDULE + 'environments = ["x*"]\npolicy = "nor-this"\n[daemon]\nhttp = "x"\n[report]\nlogo = "l.png"\n',
    )  # fmt: skip

    for part in ('"no-such"', "gone.pem", '"x*"', '"nor-this"', "daemon.http", "report.logo"):
        assert part in said
    assert len(said.splitlines()) == 6


def test_a_private_key_is_no_trust_store(tmp_path: Path) -> None:
    cert, key = tmp_path / "ca.pem", tmp_path / "ca.key"
    client_certificate(cert, key)

    assert "ca.key is a private key, not a trust store" in refused(tmp_path, HEAD + "[scan]\ntrust_store = 'ca.key'")
    assert checked(tmp_path, HEAD + "[scan]\ntrust_store = 'ca.pem'").warnings == ()
    (tmp_path / "both.pem").write_bytes(cert.read_bytes() + key.read_bytes())
    (warning,) = checked(tmp_path, HEAD + "[scan]\ntrust_store = 'both.pem'").warnings
    assert "holds a private key beside certificates" in str(warning)


def _another_key(folder: Path) -> None:
    client_certificate(folder / "client.pem", folder / "client.key")
    client_certificate(folder / "other.pem", folder / "client.key")


def _another_kind(folder: Path) -> None:
    """OpenSSL says of it that no certificate is assigned."""
    client_certificate(folder / "client.pem", folder / "client.key")
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "client.key").write_bytes(pem)


def _chain_first(folder: Path) -> None:
    client_certificate(folder / "ca.pem", folder / "ca.key")
    client_certificate(folder / "client.pem", folder / "client.key")
    own = (folder / "client.pem").read_bytes()
    (folder / "client.pem").write_bytes((folder / "ca.pem").read_bytes() + own)


def _exchanged(folder: Path) -> None:
    client_certificate(folder / "client.key", folder / "client.pem")


def _encrypted(folder: Path) -> None:
    client_certificate(folder / "client.pem", folder / "client.key", passphrase=b"secret")


def _torn(folder: Path) -> None:
    client_certificate(folder / "client.pem", folder / "client.key")
    (folder / "client.pem").write_bytes((folder / "client.pem").read_bytes()[:200])


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            _another_key,
            "key: .*client.key does not belong to the certificate .*client.pem: the certificate is for anot",
        ),
        (
            _another_kind,
            "does not belong to the certificate .*client.pem: the key is RSA, the certificate is for an EC",
        ),
        (_chain_first, "client.key belongs to certificate 2 of .*client.pem, and not to the first: the client's own"),
        (_exchanged, "client_certificate.cert: .*client.pem holds no certificate as PEM"),
        (_encrypted, "client_certificate.key: .*client.key is encrypted"),
        (_torn, "client.pem and .*client.key cannot be used: "),
    ],
)
def test_client_certificates_and_keys_have_to_fit(made: Callable[[Path], None], expected: str, tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "config.toml").write_text(HEAD + WITH_CLIENT, "utf-8")

    with pytest.raises(ConfigError, match=expected):
        preflight.check(load(tmp_path / "config.toml"))


@pytest.mark.parametrize(("days", "expected"), [((-30, -1), "expired on "), ((1, 30), "is not valid before ")])
def test_a_client_certificate_that_is_out_of_date_keeps_no_host_from_being_scanned(
    days: tuple[int, int], expected: str, tmp_path: Path
) -> None:
    client_certificate(tmp_path / "client.pem", tmp_path / "client.key", days=days)

    (warning,) = checked(tmp_path, HEAD + WITH_CLIENT).warnings
    assert expected in str(warning)


def test_what_can_be_mended_while_it_runs_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, _: Path(path) != tmp_path / "h")
    (tmp_path / "h").mkdir()
    text = HEAD + SCHEDULE + (
        '[nightseal]\nhistory = "h/istory"\n[scan.connect_to]\n"b.example:443" = ["127.0.0.1:1"]\n'
        '[daemon]\nhttp = "192.0.2.1:9745"\nreport_url = "reports"\n[[notify]]\nname = "n"\nurl = "json://127.0.0.1/"\n'
    )  # fmt: skip

    said = "\n".join(map(str, checked(tmp_path, text).warnings))

    assert "notify[n]: no schedule sends it anything" in said
    assert "/h is not writable for the user who runs the check" in said
    assert 'daemon.http: "192.0.2.1:9745" is not an address of this machine' in said
    assert 'scan.connect_to."b.example:443": is not the address of any endpoint (did you mean "a.example"?)' in said
    assert 'daemon.report_url: "reports" is not the address of a web page' in said
    assert len(said.splitlines()) == 5


def test_what_the_night_could_not_look_at_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORE_PASSWORD", raising=False)
    (tmp_path / "store.p12").write_bytes(b"")
    files = '  [[environment.certificate]]\n  files = ["store.p12"]\n  password_variable = "STORE_PASSWORD"\n'

    (warning,) = checked(tmp_path, HEAD + files).warnings
    assert "the environment variable STORE_PASSWORD is not set" in str(warning)
    assert warning.place.endswith("config.toml:7")

    monkeypatch.setenv("STORE_PASSWORD", "")
    assert checked(tmp_path, HEAD + files).warnings == ()

    # Nobody scans a zone where no workers are reached.
    (warning,) = checked(tmp_path, HEAD.replace("kind", 'zone = "dmz"\nkind')).warnings
    assert 'environment[production].zone: nothing of it is scanned: "dmz" is a zone of workers' in str(warning)


def test_a_schedule_of_seconds_is_warned_of(tmp_path: Path) -> None:
    def said(cron: str) -> list[str]:
        return [str(item) for item in checked(tmp_path, HEAD + SCHEDULE.replace("0 2 * * *", cron)).warnings]

    assert said("0 2 * * * *") == [
        'schedule[nightly].cron: "0 2 * * * *" has six fields, and the first is seconds: it starts every 1 h at the '
        "shortest (omit the first if minutes were meant)"
    ]
    assert "it starts every 20 s at the shortest" in said("*/20 * * * * *")[0]
    assert said("0 2 * * *") == []


def test_many_entries_for_hosts_that_are_not_there_bury_no_other_warning(tmp_path: Path) -> None:
    entries = "".join(f'"h{number}.example:443" = ["127.0.0.1:1"]\n' for number in range(19))
    said = [str(item) for item in checked(tmp_path, f"{HEAD}[scan.connect_to]\n{entries}").warnings]
    assert len(said) == 4
    assert said[-1] == "scan.connect_to: 16 more entries name no endpoint either"


@pytest.mark.parametrize("mode", ["0000", "044", "0200", "0377"])
def test_reports_that_their_owner_cannot_read_are_refused(mode: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="output_mode"):
        checked(tmp_path, f'[nightseal]\noutput_mode = "{mode}"\n{HEAD}')


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc", "https:///x", "reports", "http:host"])
def test_messages_link_to_web_pages_only(url: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'{HEAD}[daemon]\nreport_url = "{url}"\n', "utf-8")
    assert load(tmp_path / "config.toml").form.daemon.report_base is None


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ("no-such-host.invalid:9745", "does not resolve to an IPv4 address"),
        ("192.0.2.1:9745", "is not an address of this machine"),
        ("[2001:db8::1]:9745", "is not an address of this machine"),
        ("127.0.0.1:0", "is a different port at each start"),
    ],
)
def test_where_nothing_can_listen_for_now_is_warned_of(
    http: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolved(host: str, *about: Any) -> Any:
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *about)

    monkeypatch.setattr("socket.getaddrinfo", resolved)

    (warning,) = checked(tmp_path, f'{HEAD}[daemon]\nhttp = "{http}"').warnings

    assert str(warning).startswith(f'daemon.http: "{http}" {expected}')


@pytest.mark.parametrize("http", ["[::1]:9745", ":9745", "0.0.0.0:9745", "[::]:9745", "127.0.0.9:9745"])
def test_where_something_can_listen_nothing_is_said(http: str, tmp_path: Path) -> None:
    assert checked(tmp_path, f'{HEAD}[daemon]\nhttp = "{http}"').warnings == ()


@pytest.mark.parametrize("key", ["output", "history"])
def test_a_link_into_the_kernels_own_is_followed(key: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc/sys")

    assert "link is on the file system proc" in refused(tmp_path, HEAD + f'[nightseal]\n{key} = "link"')


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "is on a disk that is full: No space left on device (make room"),
        (errno.EDQUOT, "is on a disk that is full: Disk quota exceeded"),
        (errno.EIO, "cannot be written to: Input/output error (check the disk)"),
        (errno.EPERM, "is not writable for the user who runs the check"),
    ],
)
def test_what_a_disk_refuses_for_now_is_warned_of(
    number: int, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight_places, "refusal", lambda _: OSError(number, os.strerror(number)))

    warnings = checked(tmp_path, HEAD + SCHEDULE).warnings

    assert [problem.key for problem in warnings] == ["nightseal.history", "nightseal.output", "daemon.state"]
    assert all(word in str(problem) for problem in warnings)


def test_a_read_only_file_system_is_an_outage_where_the_folder_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there was written to before, so that its disk failed; what never was is the wrong place."""
    monkeypatch.setattr(preflight_places, "refusal", lambda _: OSError(errno.EROFS, os.strerror(errno.EROFS)))
    found = re.compile(r"(\w+\.\w+): \S+ cannot be written to: Read-only file system")

    assert found.findall(refused(tmp_path, HEAD + SCHEDULE)) == ["nightseal.history", "nightseal.output"]
    (tmp_path / "history").mkdir()
    assert found.findall(refused(tmp_path, HEAD + SCHEDULE)) == ["nightseal.output"]
    (tmp_path / "out").mkdir()
    warnings = "\n".join(map(str, checked(tmp_path, HEAD + SCHEDULE).warnings))
    assert found.findall(warnings) == ["nightseal.history", "nightseal.output", "daemon.state"]
    assert "ReadWritePaths=" in warnings


def test_problems_are_told_with_their_lines(tmp_path: Path) -> None:
    said = refused(tmp_path, HEAD + SCHEDULE + '[daemon]\nhttp = "x"\n')
    line = (HEAD + SCHEDULE).count("\n") + 2

    assert said.startswith(f"{tmp_path}/config.toml:{line}: daemon.http: ")


def test_what_is_well_has_no_warnings(tmp_path: Path) -> None:
    client_certificate(tmp_path / "client.pem", tmp_path / "client.key")
    text = HEAD + WITH_CLIENT + SCHEDULE + 'notify = ["n"]\n[[notify]]\nname = "n"\nurl = "json://127.0.0.1/"\n'

    found = checked(tmp_path, text)

    assert found.warnings == ()
    assert set(found.triggers) == {"nightly"}


@pytest.mark.parametrize(
    ("text", "expected"), [("127.0.0.1:9745", ("127.0.0.1", 9745)), ("[::1]:0", ("::1", 0)), (":80", ("", 80))]
)
def test_addresses_to_answer_at(text: str, expected: tuple[str, int]) -> None:
    assert http_address(text) == expected
