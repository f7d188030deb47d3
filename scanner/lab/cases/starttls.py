"""Servers of other protocols, which begin in plain text and are upgraded to TLS."""

from scanner.lab.case import Case, expect

CASES = (
    Case(
        name="smtp-starttls",
        description="Nothing: a mail server that offers STARTTLS",
        starttls="smtp",
        port=25,
        http_port=None,
        expected=expect("https.active proto.no-tls1.0 proto.tls1.3 cert.trusted cert.hostname cert.valid-now"),
    ),
)
