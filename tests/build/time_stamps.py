"""An authority for time stamps (RFC 3161) on loopback: OpenSSL's own, asked over HTTP."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.build.servers import program

_CONFIG = """
[tsa]
default_tsa = one
[one]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = Time stamps of the tests
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""


@contextlib.contextmanager
def authority(folder: Path, *, garbled: bool = False, identity: tuple[bytes, bytes] | None = None) -> Iterator[str]:
    """Run one, and give its address; `garbled` answers with something else.

    `identity` is its certificate, with those above it, and its key, PEM; self-signed where none is given.
    """
    openssl = program("openssl", "openssl")
    (folder / "openssl.cnf").write_text(_CONFIG.format(folder=folder), "utf-8")
    (folder / "serial").write_text("01\n", "utf-8")
    if identity is not None:
        (folder / "tsa.pem").write_bytes(identity[0])
        (folder / "tsa.key").write_bytes(identity[1])
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", "openssl.cnf")
    if identity is None:
        subprocess.run(
            [openssl, *made, "-keyout", "tsa.key", "-out", "tsa.pem"], cwd=folder, check=True, capture_output=True
        )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "query.tsq").write_bytes(request)
            reply = subprocess.run(
                [openssl, "ts", "-reply", "-config", "openssl.cnf", "-queryfile", "query.tsq"],
                cwd=folder,
                check=True,
                capture_output=True,
            ).stdout
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(b"no" if garbled else reply)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
