"""What is computed of clients, beside what the real ones do at real servers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.build import real_clients
from tests.build.real_clients import Ask
from tests.build.servers import HOST, program, servers

GROUPS = {"prime256v1": "secp256r1", "X25519": "x25519"}
SETTINGS = {
    "as it comes": (["rsa"], "ssl_protocols TLSv1.2 TLSv1.3;"),
    "server's order": (
        ["rsa"],
        "ssl_protocols TLSv1.2; ssl_prefer_server_ciphers on;"
        "ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256;",
    ),
    "one large curve": (["rsa"], "ssl_protocols TLSv1.3; ssl_ecdh_curve secp384r1;"),
    "finite fields alone": (["rsa"], "ssl_protocols TLSv1.2; ssl_ciphers DHE-RSA-AES128-GCM-SHA256; ssl_dhparam {dh};"),
    "RSA key exchange alone": (["rsa"], "ssl_protocols TLSv1.2; ssl_ciphers AES128-SHA:@SECLEVEL=0;"),
    "CBC alone": (["rsa"], "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384;"),
    "ECDSA": (["ecdsa"], "ssl_protocols TLSv1.2 TLSv1.3;"),
    "both keys, large curves": (["ecdsa", "rsa"], "ssl_protocols TLSv1.2; ssl_ecdh_curve secp521r1:secp384r1;"),
    "old versions": (["rsa"], "ssl_protocols TLSv1 TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;"),
}


@pytest.fixture(scope="module")
def computed(tmp_path_factory) -> Iterator[dict[str, tuple[int, Path, dict[str, dict]]]]:
    """By setting: the server's port, its authority, and what is computed of each client, from one scan."""
    folder = tmp_path_factory.mktemp("clients")
    dh = folder / "dh.pem"
    generate = ["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", str(dh)]
    subprocess.run([program("openssl", "openssl"), *generate], check=True)
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(servers(folder))
        ports = {
            name: context.nginx(keys, f"{directives.format(dh=dh)} {real_clients.SEEN}")
            for name, (keys, directives) in SETTINGS.items()
        }
        there = [f"--connect-to={HOST}:{port}=127.0.0.1:{port}" for port in ports.values()]
        hosts = [f"{HOST}:{port}" for port in ports.values()]
        command = [sys.executable, "-m", "scanner.app.cli", "clients", *hosts, *there]
        command += [f"--ca-file={context.ca_file}", "--format=json", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = {
            int(row["target"].partition("@")[0].rpartition(":")[2]): row for row in json.loads(done.stdout)["targets"]
        }
        yield {
            name: (port, context.ca_file, {client["id"]: client for client in found[port]["clients"]})
            for name, port in ports.items()
        }


def differences(setting: tuple[int, Path, dict[str, dict]], asks: Callable[[int, Path], Sequence[Ask]]) -> list[str]:
    port, ca, clients = setting
    names = real_clients.iana_names()
    wrong = []
    for ask in asks(port, ca):
        expected, real = clients[ask.client], real_clients.negotiated(ask, names)
        told = (expected["protocol"], expected["suite"], expected["group"]) if expected["connects"] else None
        if real is not None:
            version, suite, group = real
            # nginx names no group where it is of a finite field, or where there is none.
            real = (version, suite, told[2] if told and not group else GROUPS.get(group, group))
        if told and told[2] and told[2].startswith("dh-"):
            told = (told[0], told[1], real[2] if real else "")
        if told != real:
            wrong.append(f"{ask.client}: computed {told or expected['why']}, real {real}")
    return wrong


@pytest.mark.parametrize("setting", SETTINGS)
def test_real_clients_do_what_is_computed(computed, setting: str) -> None:
    assert differences(computed[setting], real_clients.quick) == []


@pytest.mark.clients
@pytest.mark.parametrize("setting", SETTINGS)
def test_browsers_and_java_do_what_is_computed(computed, setting: str, tmp_path: Path) -> None:
    assert differences(computed[setting], lambda port, ca: real_clients.slow(port, ca, tmp_path)) == []


def test_the_servers_tell_clients_apart(computed) -> None:
    """Else the comparison would not bite: each setting but the first cuts somebody off, and none cuts off everybody."""
    refused = {
        name: [one for one, row in clients.items() if row["connects"] is False]
        for name, (_, _, clients) in computed.items()
    }

    assert {name: 0 < len(ids) < len(computed[name][2]) for name, ids in refused.items()} == dict.fromkeys(
        SETTINGS, True
    )
    assert not [row for _, _, clients in computed.values() for row in clients.values() if row["connects"] is None]
