"""Servers of other protocols, which begin in plain text and are upgraded to TLS."""

from scanner.lab.case import Case, expect
from scanner.lab.certificates import CertificateRecipe
from scanner.lab.starttls import SCRIPTS
from scanner.starttls import StartTls

_GOOD = expect(
    """
    https.active proto.no-tls1.0 proto.no-tls1.1 proto.tls1.2 proto.tls1.3 cipher.forward-secrecy integrity.aead
    cert.trusted cert.hostname cert.valid-now cert.chain-complete
    """
)


def _good(protocol: StartTls) -> Case:
    return Case(
        name=f"{protocol}-starttls",
        description=f"Nothing: {SCRIPTS[protocol].kind} that can be upgraded to TLS",
        starttls=protocol.value,
        port=next(iter(protocol.spoken.schemes.values())),
        http_port=None,
        plain=None,
        expected=_GOOD,
    )


CASES = (
    *map(_good, StartTls),
    Case(
        name="smtp-expired",
        description="A mail server with STARTTLS whose certificate expired three days ago",
        starttls="smtp",
        port=25,
        http_port=None,
        plain=None,
        certificate=CertificateRecipe(from_day=-45, to_day=-3),
        expected=expect("https.active cert.hostname proto.tls1.3", "cert.valid-now"),
    ),
    Case(
        name="smtp-careless",
        description="A mail server that takes logins in plain, and carries out inside TLS what was sent before it",
        starttls="smtp",
        script="smtp-careless",
        port=587,
        http_port=None,
        plain=None,
        expected=_GOOD,
    ),
    Case(
        name="smtp-no-starttls",
        description="A mail server that does not offer STARTTLS",
        starttls="smtp",
        script="smtp-without-starttls",
        port=25,
        http_port=None,
        plain=None,
        status="partial",
        expected=expect(fails="https.active"),
    ),
)
