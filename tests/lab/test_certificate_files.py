"""Certificates in files are judged beside the servers that should present them: the whole command, and real servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from scanner.app.cli import cli
from scanner.config import loading as configuration
from scanner.errors import ConfigError
from scanner.history import History
from scanner.lab import Lab, LabServer
from scanner.verdict import Status
from tests.build.authority import certificate, pem
from tests.build.servers import program
from tests.conftest import reach

HOST = "good.lab.example"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(only=("good",)) as running:
        yield running


def made(
    *names: str, days: int, usage: x509.ObjectIdentifier | None = None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(x509.random_serial_number())
        .public_key(key.public_key()).not_valid_before(now - timedelta(days=60)).not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(item) for item in names]), critical=False)
    )  # fmt: skip
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return key, builder.sign(key, hashes.SHA256())


def run(
    lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch, certificates: str, *, more: str = ""
) -> dict[str, dict]:
    """What a run says of each host of its environment, by host."""
    monkeypatch.chdir(folder)
    server = lab.servers["good"]
    (folder / "config.toml").write_text(f"""
[[environment]]
name = "e"
kind = "on-premises"
{certificates}
[[environment.application]]
name = "Shop"
kind = "traditional-web"
host = "{server.host}"
port = {server.port}
{more}
""")
    options = ["--config", "config.toml", "--format", "json", "--output", "report.json", "--quiet", "--offline"]
    done = CliRunner().invoke(cli, ["run", *options, *reach(lab)])
    assert done.exit_code in {0, 1, 3}, done.output
    return {target["host"]: target for target in json.loads((folder / "report.json").read_text())["targets"]}


def reasons(target: dict) -> dict[str, str]:
    return {verdict["rule"]: verdict["reason"] for verdict in target["verdicts"]}


def status(target: dict, rule_id: str) -> Status:
    (found,) = (verdict["status"] for verdict in target["verdicts"] if verdict["rule"] == rule_id)
    return Status(found)


def test_files_are_judged_beside_the_servers(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ssl").mkdir()
    server = lab.servers["good"]
    own, above = _served(server)
    (tmp_path / "ssl" / "served.pem").write_text(own)
    (tmp_path / "chain.pem").write_text(above)
    # Beside certificates lie their keys, which a pattern means and nobody wants to hear of.
    (tmp_path / "ssl" / "privkey.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    root = certificate("Somebody's root", ca=True, days=(-100, 20))
    (tmp_path / "roots.pem").write_bytes(pem(root.certificate))
    (tmp_path / "ssl" / "renewed.pem").write_bytes(made(server.host, days=80)[1].public_bytes(Encoding.PEM))
    key, forgotten = made("forgotten.example.net", days=3)
    locked = pkcs12.serialize_key_and_certificates(
        b"a", key, forgotten, None, BestAvailableEncryption(b"Zx9-open-sesame")
    )
    (tmp_path / "app.p12").write_bytes(locked)
    (tmp_path / "broken.jks").write_bytes(b"\xfe\xed\xfe\xed\0")
    monkeypatch.setenv("STORE_PASSWORD", "Zx9-open-sesame")
    found = run(lab, tmp_path, monkeypatch, """
[[environment.certificate]]
files = ["ssl/*.pem", "chain.pem", "roots.pem"]
[[environment.certificate]]
files = ["app.p12", "broken.jks"]
password_variable = "STORE_PASSWORD"
""")  # fmt: skip

    served = reasons(found["file:ssl/served.pem"])
    assert served["cert.served"] == "served"
    assert status(found["file:ssl/served.pem"], "cert.served") is Status.PASS
    assert status(found["file:app.p12"], "cert.served") is Status.FAIL
    assert (served["cert.trusted"], served["cert.valid-now"]) == ("trusted", "valid")
    assert set(served) == {
        "cert.trusted", "cert.valid-now", "cert.expiry", "cert.chain-expiry", "cert.key", "cert.signature",
        "cert.weak-key", "cert.revocation", "cert.served",
    }, "nothing is asked that only a port could answer"  # fmt: skip
    assert reasons(found["file:chain.pem"])["cert.served"] == "not-a-servers"
    assert "file:ssl/privkey.pem" not in found
    roots = reasons(found["file:roots.pem"])
    assert (roots["cert.trusted"], roots["cert.expiry"]) == ("root", "expires-soon")
    assert status(found["file:roots.pem"], "cert.trusted") is Status.NOT_APPLICABLE
    assert reasons(found["file:ssl/renewed.pem"])["cert.served"] == "another-served"
    lost = reasons(found["file:app.p12"])
    assert (lost["cert.served"], lost["cert.expiry"]) == ("unused", "expires-very-soon")
    assert found["file:broken.jks"]["status"] == "unreachable"
    assert "ends too early" in json.dumps(found["file:broken.jks"])
    assert "cert.served" not in reasons(found[server.host])
    assert found["file:ssl/served.pem"]["grade"] is None
    # They are in the history like any other, and in the list of what ends next.
    frame = History.open(tmp_path / "history", create=False).certificates()
    assert {"file:app.p12", "file:ssl/served.pem"} <= set(frame["host"].astype(str))
    listed = CliRunner().invoke(cli, ["history", "certificates", "--config", "config.toml"])
    assert "file:app.p12" in listed.output
    assert b"Zx9-open-sesame" not in (tmp_path / "report.json").read_bytes()
    replayed = CliRunner().invoke(cli, ["policy", "replay", "https-by-default", "--config", "config.toml"])
    assert replayed.exit_code in {0, 1}, replayed.output


def test_a_file_whose_password_is_not_there_is_not_assessed(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORE_PASSWORD", raising=False)
    key, own = made("a.example.net", days=90)
    locked = pkcs12.serialize_key_and_certificates(b"a", key, own, None, BestAvailableEncryption(b"Zx9-open-sesame"))
    (tmp_path / "app.p12").write_bytes(locked)
    found = run(lab, tmp_path, monkeypatch, """
[[environment.certificate]]
files = ["app.p12"]
password_variable = "STORE_PASSWORD"
""")  # fmt: skip
    assert found["file:app.p12"]["status"] == "unreachable"
    assert "STORE_PASSWORD is not set" in json.dumps(found["file:app.p12"])


def test_a_configured_client_certificate_is_judged_for_what_it_is(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, usage, days in (
        ("client.pem", x509.ExtendedKeyUsageOID.CLIENT_AUTH, 3),
        ("server.pem", x509.ExtendedKeyUsageOID.SERVER_AUTH, 80),
    ):
        key, own = made("client", days=days, usage=usage)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / name).write_bytes(own.public_bytes(Encoding.PEM) + pem)
    expected = {"client.pem": ("for-clients", "expires-very-soon"), "server.pem": ("not-for-clients", "enough-time")}
    for name, (purpose, expiry) in expected.items():
        more = f'client_certificate = {{ cert = "{name}", key = "{name}" }}'
        target = run(lab, tmp_path, monkeypatch, "", more=more)[f"client:{name}"]
        found = reasons(target)
        if name == "client.pem":
            assert status(target, "cert.client-purpose") is Status.PASS
        else:
            assert status(target, "cert.client-purpose") is Status.FAIL
        assert (found["cert.client-purpose"], found["cert.expiry"]) == (purpose, expiry)
        assert "cert.trusted" not in found
        assert "cert.served" not in found


def _served(server: LabServer) -> tuple[str, str]:
    """What a server presents, as PEM: its own certificate, and what it sends above it."""
    place = f"{server.address}:{server.actual_port}"
    command = [program("openssl", "openssl"), "s_client", "-connect", place, "-servername", server.host, "-showcerts"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True)
    own, *above = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", done.stdout, re.DOTALL)
    return own, "".join(above)


NAMES = ("ssl/inner/old.pem", "my files/Größe [1].PEM", "back\\slash.pem", "line\nbreak.pem")


def test_a_waiver_covers_a_file_however_it_is_named(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    absolute = str(elsewhere / "sub" / "store.p12")
    folder = tmp_path / "configured"
    key, old = made("old.example.net", days=3)
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(old.public_bytes(Encoding.PEM))
    (folder / "odd").mkdir()
    # A name that is no text, which only a glob can mean.
    (folder / "odd" / os.fsdecode(b"\xff.pem")).write_bytes(old.public_bytes(Encoding.PEM))
    Path(absolute).parent.mkdir(parents=True)
    Path(absolute).write_bytes(pkcs12.serialize_key_and_certificates(b"a", key, old, None, NoEncryption()))
    soon = (datetime.now(UTC) + timedelta(days=30)).date()
    quoted = [json.dumps(name, ensure_ascii=False) for name in (*NAMES, absolute)]
    waivers = "".join(
        f"""
[[waiver]]
rule = "cert.expiry"
scope = {json.dumps(f"e/file:{name}", ensure_ascii=False)}
reason = "It is replaced"
owner = "platform-team"
expires = {soon}
"""
        for name in (*NAMES, absolute, "odd/\\udcff.pem")
    )
    named = ", ".join((*(name.replace("[1]", "[[]1]") for name in quoted), '"odd/*"'))
    found = run(lab, folder, monkeypatch, f"[[environment.certificate]]\nfiles = [{named}]\n", more=waivers)

    files = {host: target for host, target in found.items() if host.startswith("file:")}
    assert len(files) == len(NAMES) + 2
    for host, target in files.items():
        (expiry,) = (verdict for verdict in target["verdicts"] if verdict["rule"] == "cert.expiry")
        assert (expiry["status"], expiry["waiver"] and expiry["waiver"]["owner"]) == ("fail", "platform-team"), host
    checked = CliRunner().invoke(cli, ["config", "check"])
    assert checked.exit_code == 0, checked.output
    assert "covers no" not in checked.output
    assert "accepted nothing" not in checked.output
    for name in ("file:ssl/inner/old.pem", f"file:{absolute}"):
        told = CliRunner().invoke(cli, ["config", "explain", name])
        assert (told.exit_code, told.output.split(" (")[0]) == (0, f"e/{name}")


def test_the_files_of_a_zone_are_not_looked_for_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "ssl"
    here.mkdir()
    (here / "own.pem").write_bytes(made("old.example.net", days=3)[1].public_bytes(Encoding.PEM))
    monkeypatch.chdir(tmp_path)
    zone = '[[environment]]\nname = "e"\nkind = "on-premises"\nzone = "dmz"\n[[environment.certificate]]\n'
    Path("config.toml").write_text(f'{zone}files = ["{here}/*.pem"]\n')
    CliRunner().invoke(cli, ["run", "--format", "json", "--output", "report.json", "--quiet", "--offline"])
    (target,) = json.loads(Path("report.json").read_text())["targets"]
    assert (target["host"], target["error"]["reason"]) == (f"file:{here}/*.pem", "no-worker-in-zone")
    assert {Status(verdict["status"]) for verdict in target["verdicts"]} == {Status.INDETERMINATE}
    Path("config.toml").write_text(f'{zone}files = ["ssl/*.pem"]\n')
    with pytest.raises(ConfigError, match=r'"ssl/\*.pem" should begin with "/"'):
        configuration.load(Path("config.toml"))
