"""Servers of other protocols, which begin in plain text and are upgraded to TLS."""

from scanner.lab.case import Case, expect
from scanner.lab.certificates import CertificateRecipe

_GOOD = expect(
    """
    https.active proto.no-tls1.0 proto.no-tls1.1 proto.tls1.2 proto.tls1.3 cipher.forward-secrecy integrity.aead
    cert.trusted cert.hostname cert.valid-now cert.chain-complete
    """
)


def _good(starttls: str, port: int, kind: str) -> Case:
    return Case(
        name=f"{starttls}-starttls",
        description=f"Nothing: {kind} that can be upgraded to TLS",
        starttls=starttls,
        port=port,
        http_port=None,
        plain=None,
        expected=_GOOD,
    )


CASES = (
    _good("smtp", 25, "a mail server"),
    _good("imap", 143, "a mailbox server"),
    _good("pop3", 110, "a mailbox server"),
    _good("ftp", 21, "a file server"),
    _good("ldap", 389, "a directory server"),
    _good("xmpp", 5222, "a chat server"),
    _good("xmpp-server", 5269, "a chat server, for other servers,"),
    _good("postgres", 5432, "a database server"),
    _good("rdp", 3389, "a remote desktop server"),
    _good("lmtp", 24, "a server that delivers mail"),
    _good("sieve", 4190, "a server of mail filters"),
    _good("nntp", 119, "a news server"),
    _good("irc", 6667, "a chat server of IRC"),
    _good("mysql", 3306, "a database server of MySQL"),
    _good("mssql", 1433, "a database server of Microsoft SQL"),
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
