"""A whole night over a large estate: names, probes, verdicts, history and paper, by the command that people run.

    python bench/whole_run.py --targets 1000 10000           # one line each, and memory over time
    python bench/whole_run.py --targets 1000 --formats html pdf json csv
    python bench/whole_run.py --targets 1000 --silent 100    # so many of them accept and say nothing

Each target has a name of its own, which a name server (Knot) answers for, and an address of its own on loopback.
Behind the addresses are three nginx: one in order, one that knows TLS 1.2 alone with CBC suites and no HSTS, one whose
certificate nobody signed. All of it is in a network namespace, which needs root. Processor time and memory (the
greatest proportional set size) are those of the process tree of `nightseal run`, as it is looked at once a second;
when a step was done is read from the files that it leaves.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.scale import processor_time, share, tree
from bench.tools.scanners import address
from tests.build.servers import servers
from tests.build.signed_zone import answered, knot

_INSIDE = "NIGHTSEAL_BENCH_NAMESPACE"
_ORIGIN = "estate.example"
_WHOLE = (0, 1, 3)  # exit statuses of a whole run: nothing failed, something did, something could not be told
_KINDS = {
    "good": (["ecdsa"], "ssl_protocols TLSv1.2 TLSv1.3; add_header Strict-Transport-Security max-age=31536000;"),
    "old": (["rsa"], "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES128-SHA256:AES128-SHA;"),
    "unsigned": (["self-signed"], "ssl_protocols TLSv1.2 TLSv1.3;"),
}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--targets", type=int, nargs="+", default=[1000])
    parser.add_argument("--formats", nargs="+", default=["html", "pdf"])
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--silent", type=int, default=0)
    arguments = parser.parse_args()
    if _INSIDE not in os.environ:
        sys.exit(inside())
    print("command:", "python", *sys.argv)
    print(f"machine: {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} before")
    for count in arguments.targets:
        with tempfile.TemporaryDirectory() as folder:
            whole_run(Path(folder), count, arguments)


def inside() -> int:
    """The same again in a network of its own, with a list of name servers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        resolvers = Path(folder) / "resolv.conf"
        resolvers.write_text("nameserver 127.0.0.1\n", "utf-8")
        script = f'ip link set lo up; mount --bind {resolvers} /etc/resolv.conf; {_INSIDE}=yes exec "$@"'
        command = ["unshare", "-n", "-m", "sh", "-ec", script, "sh", sys.executable, *sys.argv]
        return subprocess.run(command, check=False).returncode


def kind_of(number: int) -> str:
    """Of ten targets one is old and one is unsigned."""
    return {8: "old", 9: "unsigned"}.get(number % 10, "good")


@contextmanager
def estate(folder: Path, count: int, arguments: argparse.Namespace) -> Iterator[Path]:
    """So many hosts that answer, and the configuration that names them."""
    with servers(folder) as context:
        ports = {}
        for kind, (keys, directives) in _KINDS.items():
            if kind == "unsigned":
                context.identities[keys[0]] = self_signed(folder)
            # The wildcard is another port than the one that `nginx` binds at 127.0.0.1, and is known by.
            first, port, plain = (base + 1000 * len(ports) for base in (8442, 8443, 8080))
            more = (
                f"location = / {{ return 200 'fine'; }} listen 0.0.0.0:{port} ssl; }} server {{ listen 0.0.0.0:{plain};"
            )
            context.nginx(keys, f"{directives} {more} return 301 https://$host:{port}$request_uri;", port=first)
            ports[kind] = port, plain
        home = folder / "zone"
        home.mkdir()
        lines = [f"h{number:05} A {address(number)}" for number in range(count)]
        head = f"$ORIGIN {_ORIGIN}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
        (home / "zone").write_text(head + "\n".join(lines) + "\n", "utf-8")
        with knot(home, 53, f'zone:\n  - domain: {_ORIGIN}\n    storage: "{home}"\n    file: "zone"\n'):
            answered(53, _ORIGIN)
            # Connections are accepted by the kernel, and nobody takes them.
            silent = context.enter(socket.create_server(("0.0.0.0", 0), backlog=4096)).getsockname()[1]  # noqa: S104  # of a network of its own
            every = count // arguments.silent if arguments.silent else 0
            endpoints = "\n".join(
                f'[[environment.endpoint]]\nhost = "h{number:05}.{_ORIGIN}"\nport = {port}\nhttp_port = {plain}'
                for number in range(count)
                for port, plain in [(silent, silent) if every and number % every == 0 else ports[kind_of(number)]]
            )
            text = (
                f'[nightseal]\nhistory = "history"\noutput = "out"\n[scan]\nconcurrency = {arguments.concurrency}\n'
                f'[[environment]]\nname = "production"\nkind = "on-premises"\n{endpoints}\n'
            )
            (folder / "config.toml").write_text(text, "utf-8")
            yield folder


def self_signed(folder: Path) -> Path:
    """A certificate that nobody signed, and its key, in one file."""
    made = folder / "self-signed.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "90", "-subj", "/CN=unsigned"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)
    made.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    return made


def whole_run(folder: Path, count: int, arguments: argparse.Namespace) -> None:
    """Run, and say what it took."""
    with estate(folder, count, arguments) as home:
        command = [
            sys.executable,
            "-m",
            "scanner.app.cli",
            "run",
            "-q",
            "-f",
            ",".join(arguments.formats),
            "-o",
            "out/",
        ]
        begun, wall_begun = time.monotonic(), time.time()
        used, most, over_time = {}, 0.0, []
        with (
            (home / "said").open("wb") as said,
            subprocess.Popen(command, cwd=home, stdout=said, stderr=said) as process,
        ):
            while process.poll() is None:
                family = tree(process.pid)
                used |= {member: took for member in family if (took := processor_time(member)) is not None}
                held = sum(map(share, family)) / 2**20
                most = max(most, held)
                over_time.append((time.monotonic() - begun, held))
                time.sleep(1)
        took = time.monotonic() - begun
        if process.returncode not in _WHOLE:
            print((home / "said").read_text("utf-8", "replace")[-2000:])
            raise SystemExit(f"nightseal run ended with status {process.returncode}")
        print(f"\n{count} targets: {took:.0f} s, {sum(used.values()):.0f} s of processor time, at most {most:.0f} MiB")
        for at, what in done(home, wall_begun):
            print(f"  {at:6.0f} s  {what}")
        step = max(1, len(over_time) // 20)
        print("  MiB over time: " + ", ".join(f"{at:.0f} s {held:.0f}" for at, held in over_time[::step]), flush=True)


def done(home: Path, begun: float) -> Iterator[tuple[float, str]]:
    """When what is left of a run was written: the first and last commit of the verdicts, and each report."""
    commits = sorted(path.stat().st_mtime - begun for path in home.glob("history/*/_delta_log/*.json"))
    if commits:
        yield commits[0], "history: first commit"
        yield commits[-1], f"history: last of {len(commits)} commits"
    for report in sorted((home / "out").rglob("*.*"), key=lambda path: path.stat().st_mtime):
        yield report.stat().st_mtime - begun, f"{report.name}: {report.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
