"""Which zone's hosts are seen from where: networks that do not reach each other, as the how-to on zones sets them up.

    python bench/zones.py        # root; each zone is a network namespace with a veth towards the broker

Both zones have a host at the same address, 10.1.0.5, with a certificate that says whose it is. Each reaches the broker
(Redis, mutual TLS, users) and nothing else; from where the coordinator is, there is no route to a host of a zone.
`nightseal run` is then asked for hosts of both zones, one of its own network, one of a zone without a worker, and one
of a zone's hosts as if it were in the coordinator's own network. Whose certificate was seen, from where, is printed
for each; then what listens in each zone besides its host, and who can connect to whom.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scanner.fleet.settings import CA, CERTIFICATE, KEY
from scanner.fleet.users import PASSWORD, USERS

_INSIDE = "NIGHTSEAL_BENCH_NAMESPACE"
_BROKER, _PORT = "10.255.0.1", 6379
_HOST, _TLS = "10.1.0.5", 443
_ZONES = ("dmz", "plant")
_WHOLE = (0, 1, 3)  # exit statuses of a whole run: nothing failed, something did, something could not be told
_SYSTEM = [sys.executable, "-m", "scanner.app.cli"]
_NGINX = """daemon off; worker_processes 1; pid {home}/nginx.pid; events {{ worker_connections 512; }}
http {{ access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
server {{ listen {address}:{port} ssl; ssl_certificate {home}/certificate.pem; ssl_certificate_key {home}/key.pem;
location / {{ return 200 'fine'; }} }} }}
"""
# environment, its zone, the address where its host is
_ASKED = [
    ("office", None, "127.0.0.1"),
    ("production", "dmz", _HOST),
    ("machines", "plant", _HOST),
    ("branch", "branch", _HOST),
    ("unzoned", None, _HOST),
]


@dataclass(frozen=True, slots=True)
class Network:
    """A network namespace, held by a process that does nothing."""

    name: str
    pid: int

    def command(self, *words: str | Path) -> list[str]:
        """The command, run in it."""
        return ["nsenter", "-t", str(self.pid), "-n", *map(str, words)]

    def ask(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command in it, and have what it said."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=60)


def main() -> None:
    """Set up, scan, and print who was seen from where."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    if _INSIDE not in os.environ:
        script = f'ip link set lo up; ip addr add {_BROKER}/32 dev lo; {_INSIDE}=yes exec "$@"'
        command = ["unshare", "-n", "sh", "-ec", script, "sh", sys.executable, *sys.argv]
        sys.exit(subprocess.run(command, check=False).returncode)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        zones = [stack.enter_context(network(name, number)) for number, name in enumerate(_ZONES, 1)]
        homes = {"office": "office", **{f"host-{name}": name for name in _ZONES}}
        stack.enter_context(host(folder / "office", "office", "127.0.0.1"))
        for zone in zones:
            stack.enter_context(host(folder / f"host-{zone.name}", zone.name, _HOST, zone))
        said = [*_SYSTEM, "cluster", "certificates", "fleet", "--host", _BROKER]
        subprocess.run(
            [*said, *(word for zone in _ZONES for word in ("--zone", zone))],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        stack.enter_context(broker(folder))
        for zone in zones:
            stack.enter_context(worker(folder, zone))
        whose = {fingerprint(folder / home / "certificate.pem"): name for home, name in homes.items()}
        report(scanned(folder), whose)
        apart(zones)


@contextmanager
def network(name: str, number: int) -> Iterator[Network]:
    """A network that reaches the broker, has a host at an inner address, and knows no other."""
    with ended(["unshare", "-n", "sleep", "infinity"]) as holder:
        zone = Network(name, holder.pid)
        here = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116  # the namespace, not the file
        while os.stat(f"/proc/{holder.pid}/ns/net").st_ino == here:  # noqa: PTH116  # the same
            time.sleep(0.02)
        ours, theirs = f"10.255.{number}.1", f"10.255.{number}.2"
        for words in (
            f"ip link add {name} type veth peer name outside netns {holder.pid}",
            f"ip addr add {ours}/30 dev {name}",
            f"ip link set {name} up",
        ):
            subprocess.run(words.split(), check=True)
        for words in (
            "ip link set lo up",
            f"ip addr add {theirs}/30 dev outside",
            "ip link set outside up",
            f"ip route add {_BROKER} via {ours}",
            f"ip addr add {_HOST}/32 dev lo",
        ):
            subprocess.run(zone.command(*words.split()), check=True)
        yield zone


@contextmanager
def ended(command: Sequence[str], log: Path | None = None, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the context."""
    with ExitStack() as stack:
        out = stack.enter_context(log.open("wb")) if log else subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)  # type: ignore[call-overload]  # handed on
        try:
            yield process
        finally:
            with contextlib.suppress(psutil.Error):
                for below in psutil.Process(process.pid).children(recursive=True):
                    below.kill()
            process.kill()
            process.wait()


@contextmanager
def host(home: Path, name: str, address: str, where: Network | None = None) -> Iterator[None]:
    """An nginx whose certificate says whose it is."""
    home.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", f"/CN={name}", "-keyout", str(home / "key.pem"), "-out", str(home / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
    (home / "nginx.conf").write_text(_NGINX.format(home=home, address=address, port=_TLS), "utf-8")
    started = ["nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", "stderr"]
    with ended(where.command(*started) if where else started, home / "log"):
        yield


@contextmanager
def broker(folder: Path) -> Iterator[None]:
    """Redis, as the how-to has it."""
    own = folder / "fleet" / "broker"
    command = ["redis-server", "--save", "", "--dir", str(folder), "--bind", _BROKER, "--port", "0"]
    command += ["--tls-port", str(_PORT), "--tls-auth-clients", "yes", "--aclfile", str(own / USERS)]
    command += ["--tls-ca-cert-file", str(own / CA), "--tls-cert-file", str(own / CERTIFICATE)]
    with ended([*command, "--tls-key-file", str(own / KEY)], folder / "redis.log"):
        yield


def url_of(folder: Path, member: str) -> str:
    """What its `broker.env` says."""
    return (folder / "fleet" / member / PASSWORD).read_text("utf-8").strip().partition("=")[2]


@contextmanager
def worker(folder: Path, zone: Network) -> Iterator[None]:
    """A worker in the zone."""
    member, log = f"zone-{zone.name}", folder / f"{zone.name}.log"
    command = zone.command(*_SYSTEM, "worker", "--zone", zone.name, "--certificates", folder / "fleet" / member)
    with ended(command, log, env={**os.environ, "NIGHTSEAL_BROKER": url_of(folder, member)}, cwd=folder) as process:
        until = time.monotonic() + 120
        while "ready" not in log.read_text("utf-8"):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the worker of {zone.name} did not begin: {log.read_text('utf-8')[-2000:]}")
            time.sleep(0.2)
        yield


def scanned(folder: Path) -> list[dict[str, Any]]:
    """A run over all environments: of each target, who was asked for and what was seen."""
    url = f"rediss://coordinator:${{BROKER_PASSWORD}}@{_BROKER}:{_PORT}/0"
    text = f'[nightseal]\nhistory = "history"\noutput = "out"\n[dispatch]\nengine = "celery"\nbroker = "{url}"\n'
    text += 'certificates = "fleet/coordinator"\n[scan]\nonline = false\n[scan.connect_to]\n'
    text += "".join(f'"{name}.example:{_TLS}" = ["{at}:{_TLS}"]\n' for name, _, at in _ASKED)
    for name, zone, _ in _ASKED:
        text += f'[[environment]]\nname = "{name}"\nkind = "on-premises"\n' + (f'zone = "{zone}"\n' if zone else "")
        text += f'[[environment.endpoint]]\nhost = "{name}.example"\nhttp_port = false\n'
    (folder / "config.toml").write_text(text, "utf-8")
    secret = {"BROKER_PASSWORD": url_of(folder, "coordinator")}
    command = [*_SYSTEM, "run", "-q", "-f", "json", "-o", "report.json"]
    run = subprocess.run(command, cwd=folder, env={**os.environ, **secret}, check=False)
    if run.returncode not in _WHOLE:
        raise SystemExit(f"nightseal run ended with status {run.returncode}")
    return list(json.loads((folder / "report.json").read_text("utf-8"))["targets"])


def fingerprint(certificate: Path) -> str:
    """The SHA-256 of a certificate in PEM, as reports have it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text("ascii"))).hexdigest()


def report(targets: list[dict[str, Any]], whose: Mapping[str, str]) -> None:
    """Who was asked for, whose certificate was seen, and from where."""
    print("\n| environment | zone | its host | certificate of | seen from | status |\n|---|---|---|---|---|---|")
    found = {target["environment"]: target for target in targets}
    for name, zone, at in _ASKED:
        evidence = found[name]["evidence"]
        shown = [whose.get(shown["chain"][0]["fingerprint"], "?") for shown in evidence.get("certificates", [])]
        why = (found[name]["error"] or {}).get("reason", "")
        whence = "-" if why else evidence["seen_from"] or "coordinator"
        said = [found[name]["status"], *([why] if why else [])]
        print(f"| {name} | {zone or '-'} | {at} | {', '.join(shown) or '-'} | {whence} | {': '.join(said)} |")


def apart(zones: Sequence[Network]) -> None:
    """What listens in each zone, and who can connect to whom."""
    print("\n| from | listens in it | to the broker | to its own host | to the other zone |\n|---|---|---|---|---|")
    for zone, other in zip(zones, reversed(zones), strict=True):
        lines = zone.ask("ss", "-Hltn").stdout.splitlines()
        ways = [(_BROKER, _PORT), (_HOST, _TLS), (far_end(other), _TLS)]
        reached = ["yes" if connects(at, port, zone) else "no" for at, port in ways]
        print(f"| {zone.name} | {', '.join(sorted({line.split()[3] for line in lines}))} | {' | '.join(reached)} |")
    ends = [("a host of theirs", _HOST), *((f"the worker of {zone.name}", far_end(zone)) for zone in zones)]
    print("\n| from the coordinator to | |\n|---|---|")
    for name, at in ends:
        print(f"| {name}, {at} port {_TLS} | {'yes' if connects(at, _TLS) else 'no'} |")


def far_end(zone: Network) -> str:
    """The zone's address towards the coordinator."""
    return zone.ask("sh", "-c", "ip -4 -br addr show outside | grep -oE '10[.]255[.][0-9]+[.]2'").stdout.strip()


def connects(at: str, port: int, where: Network | None = None) -> bool:
    """Whether a connection is accepted."""
    command = ["timeout", "2", "bash", "-c", f"</dev/tcp/{at}/{port}"]
    started = where.command(*command) if where else command
    return subprocess.run(started, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
