"""Servers whose protocols, cipher suites or key exchanges do not keep what is said private and whole."""

from ssl import TLSVersion

from scanner.lab.case import Case, OpenSsl, expect

CASES = (
    Case(
        name="legacy-tls",
        description="TLS 1.0 and 1.1 alone",
        engine=OpenSsl(minimum=TLSVersion.TLSv1, maximum=TLSVersion.TLSv1_1, ciphers="ECDHE+AES"),
        expected=expect(
            "proto.no-ssl3 cert.trusted cert.hostname https.active",
            "proto.no-tls1.0 proto.no-tls1.1 proto.tls1.2 proto.tls1.3 integrity.aead",
        ),
    ),
)
