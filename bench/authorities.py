"""What it costs to ask authorities: requests, seconds and processor time of a run, without them, anew and kept.

    python bench/authorities.py --targets 1000 --issuers 20 --repeat 3
    python bench/authorities.py --stage 1000 --issuers 20

The targets are loopback addresses of one nginx, each with a certificate of its own by one of the issuers, each of which
names a list of revoked certificates over plain HTTP. `--stage` scans nothing, but hands so many chains to the stage
that asks authorities, and says what that takes by itself: between whole runs more varies than what it adds. Each time
it is a process of its own, which remembers nothing, as a run is; so the server of the lists is not in its time.

Whole runs are done in turns, each with a history of its own, because a run also tells what has changed since the last
one. Their processor time is that of their process trees, looked at five times a second. All that asking adds is in the
process that asks, judges and writes; the others probe, and don't know of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.scale import Used
from scanner.evidence import Attempt, Deployment, Protocol, TargetEvidence, TlsEvidence
from scanner.jobs.session import ANSWERS
from scanner.probe import ProbeSettings
from scanner.probe.authority.stage import opened
from scanner.probe.x509.chains import deployment_of
from scanner.probe.x509.trust import MOZILLA
from tests.build.authority import Signed, Site, certificate, der, pem, published, revocation_list
from tests.build.ports import free_port
from tests.build.servers import Servers, program, servers

ENTRIES = 2000
"""Of each list, which then has 80 kB."""


class Estate(NamedTuple):
    """Chains of so many targets, leaf first, and their root."""

    chains: list[tuple[Signed, Signed]]
    root: Signed


def main() -> None:
    """Measure, and print lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, default=0)
    parser.add_argument("--stage", type=int, default=0)
    parser.add_argument("--issuers", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=1, help="how often each kind of run is done")
    arguments = parser.parse_args()
    print("command:", "python", *sys.argv)
    print("busy before:", ", ".join(f"{load:.1f}" for load in os.getloadavg()), "processes in 1, 5, 15 minutes")
    with published() as site, tempfile.TemporaryDirectory() as folder:
        made = estate(site, arguments.targets or arguments.stage, arguments.issuers)
        (Path(folder) / "root.pem").write_bytes(pem(made.root.certificate))
        if arguments.stage:
            stages(site, made, Path(folder))
        if arguments.targets:
            runs(site, made, Path(folder), arguments.repeat)


def estate(site: Site, targets: int, issuers: int) -> Estate:
    """Make the certificates, and publish a list of each issuer's."""
    root = certificate("Root", ca=True, days=(-100, 3000))
    site.answers["root"] = revocation_list(root)
    above = []
    for number in range(issuers):
        made = certificate(f"Issuer {number}", root, ca=True, lists=["http://pki.example/root"])
        site.answers[f"list-{number}"] = revocation_list(made, revoked=[(serial, None) for serial in range(1, ENTRIES)])
        above.append(made)
    chains = []
    for number in range(targets):
        place = f"http://pki.example/list-{number % issuers}"
        issuer = above[number % issuers]
        host = f"h{number}.estate.example"
        chains.append((certificate(host, issuer, dns=[host], lists=[place], days=(-1, 45)), issuer))
    return Estate(chains, root)


def stages(site: Site, made: Estate, folder: Path) -> None:
    """The stage alone: where nobody is asked, with nothing kept, and again with everything kept."""
    stores = (MOZILLA, str(folder / "root.pem"))
    there = {"pki.example:80": (f"127.0.0.1:{site.port}",)}
    settings = ProbeSettings(fetch_from=("pki.example",), connect_to=there, trust_stores=stores)
    evidence = []
    for leaf, issuer in made.chains:
        chain = [der(leaf.certificate), der(issuer.certificate)]
        deployment = deployment_of(chain, stores, with_sni=True, protocol=Protocol.TLS1_3, tls_scts=0)
        if not isinstance(deployment, Deployment):
            sys.exit(f"a chain of the estate cannot be read: {deployment}")
        tls = TlsEvidence(certificates=Attempt.ok((deployment,)))
        evidence.append(TargetEvidence(datetime.now(UTC), 1.0, 1, tls=Attempt.ok(tls)))
    for name, online in (("nobody asked", False), ("anew", True), ("kept", True)):
        settings = replace(settings, online=online)
        asked = len(site.asked)
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            good, seconds, spent = pool.submit(stage_of, settings, folder / "kept", evidence).result()
        print(
            f"stage of {len(evidence)} targets, {name}: {len(site.asked) - asked} requests, {good} answers, "
            f"{seconds:.2f} s, {spent:.2f} s of processor time"
        )


def stage_of(settings: ProbeSettings, kept: Path, evidence: Sequence[TargetEvidence]) -> tuple[int, float, float]:
    """In a process of its own: the answers that were found, seconds, and those of processor time."""
    before, begun = own_time(), time.perf_counter()
    found = asyncio.run(asked_about(settings, kept, evidence))
    seconds, spent = time.perf_counter() - begun, own_time() - before
    good = sum(
        answer.status is not None
        for item in found
        if item.tls.value
        for deployment in item.tls.value.certificates.value or ()
        for answer in deployment.revocation.value or ()
    )
    return good, seconds, spent


async def asked_about(settings: ProbeSettings, kept: Path, evidence: Sequence[TargetEvidence]) -> list[TargetEvidence]:
    """What the stage makes of evidence."""
    async with opened(settings, kept) as stage:
        for item in evidence:
            stage.look_at(item)
        await stage.finish(60)
        return [stage.completed(item) for item in evidence]


def own_time() -> float:
    """Processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def runs(site: Site, made: Estate, folder: Path, repeat: int) -> None:
    """Whole runs in turns: nobody asked, asked anew, and with everything kept."""
    with servers(folder) as context:
        port = start(made, folder, context)
        configure(site, made, folder, port)
        for name, options in (("nobody asked", ["--offline"]), ("anew", []), ("kept", [])) * repeat:
            shutil.rmtree(folder / "history", ignore_errors=True)
            if name == "anew":
                shutil.rmtree(folder / ANSWERS, ignore_errors=True)
            asked = len(site.asked)
            begun = time.perf_counter()
            command = [str(Path(sys.executable).parent / "nightseal"), "run", "--quiet", "--ca-file", "root.pem"]
            process = subprocess.Popen([*command, "--format", "json", "--output", "report.json", *options], cwd=folder)
            used = Used([process.pid])
            process.wait()
            seconds, (spent, _) = time.perf_counter() - begun, used.end()
            reasons = [
                verdict["reason"]
                for target in json.loads((folder / "report.json").read_text())["targets"]
                for verdict in target["verdicts"]
                if verdict["rule"] == "cert.revocation"
            ]
            told = ", ".join(f"{reasons.count(reason)} {reason}" for reason in sorted(set(reasons)))
            print(
                f"run of {len(made.chains)} targets, {name}: {len(site.asked) - asked} requests, {seconds:.1f} s, "
                f"{spent:.1f} s of processor time, {used.of(process.pid):.1f} s of it in the process that asks and "
                f"judges; cert.revocation: {told}",
                flush=True,
            )


def start(made: Estate, folder: Path, context: Servers) -> int:
    """The nginx that has all certificates, on every loopback address; its port."""
    port = free_port()
    blocks = []
    for number, (leaf, issuer) in enumerate(made.chains):
        own = folder / f"{number}.pem"
        key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        own.write_bytes(key + pem(leaf.certificate) + pem(issuer.certificate))
        named = f"server_name h{number}.estate.example; ssl_certificate {own}; ssl_certificate_key {own};"
        blocks.append(f"server {{ listen 0.0.0.0:{port} ssl; {named} return 200; }}")
    settings = "access_log off; server_names_hash_max_size 8192; ssl_protocols TLSv1.2 TLSv1.3;"
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; events {{ worker_connections 4096; }} "
        f"http {{ {settings} {' '.join(blocks)} }}"
    )
    command = [program("nginx", "nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    context.run(command, port)
    return port


def configure(site: Site, made: Estate, folder: Path, port: int) -> None:
    """The configuration of the estate: each host at an address of its own."""
    hosts = [f"h{number}.estate.example" for number in range(len(made.chains))]
    connect = "".join(
        f'"{host}:443" = ["127.9.{number // 250}.{number % 250 + 1}:{port}"]\n' for number, host in enumerate(hosts)
    )
    endpoints = "".join(f'[[environment.endpoint]]\nhost = "{host}"\nhttp_port = 0\n' for host in hosts)
    (folder / "config.toml").write_text(
        f'[scan]\nfetch_from = ["pki.example"]\n[scan.connect_to]\n"pki.example:80" = '
        f'["127.0.0.1:{site.port}"]\n{connect}[[environment]]\nname = "e"\nkind = "on-premises"\n{endpoints}'
    )


if __name__ == "__main__":
    main()
