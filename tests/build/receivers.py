"""Real receivers of notifications: an SMTP server with TLS and passwords, and webhooks in every mood."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import json
import ssl
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.build.ports import free_port

PASSWORD = "correct-horse"  # noqa: S105  # of a mail server of the tests' own


class MailServer:
    """SMTP that demands STARTTLS and a password before it takes mail."""

    def __init__(self, folder: Path, *, password: str) -> None:
        self.mails: list[EmailMessage] = []
        self._password = password
        self.ca_file = folder / "mail-ca.pem"
        key_file = folder / "mail-key.pem"
        _certificate(self.ca_file, key_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, key_file)
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
        )
        self.port = self._controller.port

    def _authenticate(self, *given: Any) -> AuthResult:
        data = given[-1]
        right = isinstance(data, LoginPassword) and data.password.decode() == self._password
        return AuthResult(success=right)

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        assert session.ssl is not None
        message = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        return "250 taken"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()


class Webhook:
    """A webhook. `mood` is the status that it answers, or "slow" for a byte now and then."""

    def __init__(self, port: int = 0) -> None:
        self.mood: int | str = 200
        self.bodies: list[dict[str, Any]] = []
        self.tries = 0
        outer = self
        ended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.tries += 1
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if outer.mood == "slow":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not ended.wait(1):
                        self.wfile.write(b"X-Slow: yes\r\n")
                    return
                if outer.mood == 200:
                    outer.bodies.append(body)
                self.send_response(int(outer.mood))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._ended = ended
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"json://user:hush@127.0.0.1:{self.port}/hook"

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


def _certificate(file: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
