"""Small servers of the protocols that begin in plain text and are upgraded to TLS, each written down as a script.

A script is a greeting and a list of what a client may say, with the answer; patterns are tried in order against what
has arrived, and an answer may repeat a part of the question (an IMAP tag, an LDAP message number).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from scanner.lab.connection import Connection

Then = Literal["go-on", "upgrade", "close"]
_LIMIT: Final = 16_384


class Reply(Struct, frozen=True):
    r"""One thing that a client may say. In the answer, `\1` stands for the pattern's first group."""

    says: re.Pattern[bytes]
    answer: bytes
    then: Then = "go-on"


class Script(Struct, frozen=True):
    """A protocol's greeting, and its replies before and after the upgrade to TLS."""

    greeting: bytes
    plain: tuple[Reply, ...]
    secured: tuple[Reply, ...] = ()
    forgets: bool = True
    """Whether what was read in plain behind the request for TLS is forgotten, as it must be."""
    unanswered: bool = False
    """The request for TLS is not answered: the ClientHello may follow at once, and no byte more may be read."""
    kind: str = ""
    """What people call such a server, where the lab has one of it without faults."""
    asked: tuple[bytes, ...] = (b"STARTTLS\r\n",)
    """What a client says until TLS begins, each line after an answer, where no other program speaks the protocol."""


def play(connection: Connection, script: Script, *, secured: bool) -> bool:
    """Talk by the script until the upgrade (true) or the end of the connection (false)."""
    if script.unanswered and not secured:
        connection.chunk = 1
    if script.greeting and not secured:
        connection.send(script.greeting)
    while True:
        for reply in script.secured if secured else script.plain:
            match = connection.take(reply.says)
            if match is not None:
                connection.send(match.expand(reply.answer))
                if reply.then != "go-on":
                    return reply.then == "upgrade"
                break
        else:
            if not connection.fill(_LIMIT):
                return False


def _line(command: str, answer: str, then: Then = "go-on") -> Reply:
    return Reply(re.compile(rf"(?i){command}[ \t]*\r?\n".encode()), answer.encode(), then)


_ARGUMENT: Final = r"[^\r\n]*"
_SMTP_QUIT: Final = _line("QUIT", "221 2.0.0 Bye\r\n", "close")
_SMTP_OTHER: Final = _line(_ARGUMENT, "502 5.5.2 Not implemented\r\n")
_SMTP_SECURED: Final = (
    _line(f"EHLO{_ARGUMENT}", "250-mail.lab.example\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n"),
    _line(f"HELO{_ARGUMENT}", "250 mail.lab.example\r\n"),
    _line("NOOP", "250 2.0.0 Ok\r\n"),
    _SMTP_QUIT,
    _SMTP_OTHER,
)
_SMTP_GREETING: Final = b"220 mail.lab.example ESMTP Nightseal lab\r\n"
_SMTP_HELLO: Final = (_line(f"HELO{_ARGUMENT}", "250 mail.lab.example\r\n"), _line("NOOP", "250 2.0.0 Ok\r\n"))
_LDAP_OID: Final = rb"1\.3\.6\.1\.4\.1\.1466\.20037"


def _last_words(answer: bytes) -> tuple[Reply, ...]:
    """Answer whatever comes after the upgrade as what it is to this server: an error, and the end."""
    return (Reply(re.compile(rb"(?s).+"), answer, "close"),)


# RFC 4511 section 4.4.1, the notice of disconnection
_LDAP_DISCONNECTION: Final = b"0$\x02\x01\x00x\x1f\x0a\x01\x02\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20036"
_POSTGRES_ERROR: Final = b"SFATAL\0C0A000\0Munsupported frontend protocol\0\0"
# ISO 8073 section 13.5, the disconnect request
_RDP_DISCONNECTION: Final = b"\x03\x00\x00\x0b\x06\x80\x00\x00\x00\x00\x00"
_XMPP_STREAM: Final = rb"<\?xml[^>]*\?>|\s+"


def _xmpp(namespace: str, kind: str) -> Script:
    opened = (
        f"<?xml version='1.0'?><stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams' "
        "id='1' from='lab.example' version='1.0' xml:lang='en'>"
    )
    features = "<stream:features>{}</stream:features>"
    wanted = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
    skip = Reply(re.compile(_XMPP_STREAM), b"")
    stream = re.compile(rb"<stream:stream[^>]*>")
    nonsense = Reply(re.compile(rb"[^<\s]"), b"</stream:stream>", "close")
    end = Reply(re.compile(rb"</stream:stream>"), b"</stream:stream>", "close")
    return Script(
        b"",
        (
            skip,
            Reply(stream, (opened + features.format(wanted)).encode()),
            Reply(re.compile(rb"<starttls[^>]*>"), b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "upgrade"),
            end,
        ),
        (skip, Reply(stream, (opened + features.format("")).encode()), end, nonsense),
        kind=kind,
    )


_MYSQL_BODY: Final = (
    b"\x0a8.4.0-lab\0\x01\0\0\0challeng\0\x00\xaa\x21\x02\x00\x08\x00\x15" + bytes(10) + b"challenge123\0"
)
_MYSQL_GREETING: Final = len(_MYSQL_BODY).to_bytes(3, "little") + b"\0" + _MYSQL_BODY
_MYSQL_SECURE: Final = b"\xff\x57\x0c#HY000Connections using insecure transport are prohibited"
_MYSQL_NO_PLAIN: Final = len(_MYSQL_SECURE).to_bytes(3, "little") + b"\x02" + _MYSQL_SECURE
_MYSQL_DENIED: Final = b"\xff\x15\x04#28000Access denied"
_MYSQL_ERROR: Final = len(_MYSQL_DENIED).to_bytes(3, "little") + b"\x03" + _MYSQL_DENIED
_TDS_ENCRYPTS: Final = bytes.fromhex("0401 001a 0000 0100 00000b0006 0100110001 ff 100000000000 01".replace(" ", ""))


SCRIPTS: Final[dict[str, Script]] = {
    # RFC 5321, RFC 3207
    "smtp": Script(
        _SMTP_GREETING,
        (
            _line(f"EHLO{_ARGUMENT}", "250-mail.lab.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n"),
            *_SMTP_HELLO,
            _line("STARTTLS", "220 2.0.0 Ready to start TLS\r\n", "upgrade"),
            _SMTP_QUIT,
            _line(f"(?:MAIL|RCPT|DATA|AUTH){_ARGUMENT}", "530 5.7.0 Must issue a STARTTLS command first\r\n"),
            _SMTP_OTHER,
        ),
        _SMTP_SECURED,
        kind="a mail server",
    ),
    # The same server before anybody gave it a certificate.
    "smtp-without-starttls": Script(
        _SMTP_GREETING,
        (
            _line(f"EHLO{_ARGUMENT}", "250-mail.lab.example\r\n250 8BITMIME\r\n"),
            *_SMTP_HELLO,
            _SMTP_QUIT,
            _SMTP_OTHER,
        ),
    ),
    # RFC 9051
    "imap": Script(
        b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] Nightseal lab\r\n",
        (
            _line(r"(\S+) STARTTLS", r"\1 OK Begin TLS negotiation now" + "\r\n", "upgrade"),
            _line(r"(\S+) CAPABILITY", "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n\\1 OK done\r\n"),
            _line(r"(\S+) LOGOUT", "* BYE\r\n\\1 OK done\r\n", "close"),
            _line(rf"(\S+)(?: {_ARGUMENT})?", "\\1 BAD unknown\r\n"),
        ),
        (
            _line(r"(\S+) CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n\\1 OK done\r\n"),
            _line(r"(\S+) LOGOUT", "* BYE\r\n\\1 OK done\r\n", "close"),
            _line(rf"(\S+)(?: {_ARGUMENT})?", "\\1 BAD unknown\r\n"),
        ),
        kind="a mailbox server",
    ),
    # RFC 1939, RFC 2595
    "pop3": Script(
        b"+OK Nightseal lab\r\n",
        (
            _line("STLS", "+OK Begin TLS negotiation\r\n", "upgrade"),
            _line("CAPA", "+OK\r\nSTLS\r\nUSER\r\n.\r\n"),
            _line("QUIT", "+OK\r\n", "close"),
            _line(_ARGUMENT, "-ERR\r\n"),
        ),
        (_line("CAPA", "+OK\r\nUSER\r\n.\r\n"), _line("QUIT", "+OK\r\n", "close"), _line(_ARGUMENT, "-ERR\r\n")),
        kind="a mailbox server",
    ),
    # RFC 4217
    "ftp": Script(
        b"220 Nightseal lab\r\n",
        (
            _line("AUTH (?:TLS|SSL)", "234 Proceed with negotiation\r\n", "upgrade"),
            _line("FEAT", "211-Features:\r\n AUTH TLS\r\n211 End\r\n"),
            _line("QUIT", "221 Bye\r\n", "close"),
            _line(_ARGUMENT, "530 Use AUTH TLS first\r\n"),
        ),
        (_line("QUIT", "221 Bye\r\n", "close"), _line(_ARGUMENT, "530 Not logged in\r\n")),
        kind="a file server",
    ),
    # RFC 4511 section 4.14: an ExtendedRequest and its ExtendedResponse, success, with the same message number.
    "ldap": Script(
        b"",
        (
            Reply(
                re.compile(rb"(?s)0.\x02\x01(.)w.\x80\x16" + _LDAP_OID),
                b"0\x0c\x02\x01\\1x\x07\x0a\x01\x00\x04\x00\x04\x00",
                "upgrade",
            ),
        ),
        _last_words(_LDAP_DISCONNECTION),
        kind="a directory server",
    ),
    "xmpp": _xmpp("jabber:client", "a chat server"),
    "xmpp-server": _xmpp("jabber:server", "a chat server, for other servers,"),
    # PostgreSQL's message flow, SSLRequest
    "postgres": Script(
        b"",
        (Reply(re.compile(rb"\x00\x00\x00\x08\x04\xd2\x16/"), b"S", "upgrade"),),
        _last_words(b"E" + (len(_POSTGRES_ERROR) + 4).to_bytes(4, "big") + _POSTGRES_ERROR),
        kind="a database server",
    ),
    # [MS-RDPBCGR] 2.2.1.1 and 2.2.1.2: X.224 connection request and confirm, with PROTOCOL_SSL chosen
    "rdp": Script(
        b"",
        (
            Reply(
                re.compile(rb"(?s)\x03\x00\x00[\x0b-\xff].\xe0.*"),
                b"\x03\x00\x00\x13\x0e\xd0\x00\x00\x00\x00\x00\x02\x00\x08\x00\x01\x00\x00\x00",
                "upgrade",
            ),
        ),
        _last_words(_RDP_DISCONNECTION),
        kind="a remote desktop server",
    ),
    # RFC 2033, RFC 3207
    "lmtp": Script(
        b"220 mail.lab.example LMTP Nightseal lab\r\n",
        (
            _line(f"LHLO{_ARGUMENT}", "250-mail.lab.example\r\n250 STARTTLS\r\n"),
            _line("STARTTLS", "220 2.0.0 Ready to start TLS\r\n", "upgrade"),
            _SMTP_QUIT,
            _line(f"(?:MAIL|RCPT|DATA|AUTH){_ARGUMENT}", "530 5.7.0 Must issue a STARTTLS command first\r\n"),
            _SMTP_OTHER,
        ),
        (_line(f"LHLO{_ARGUMENT}", "250 mail.lab.example\r\n"), _SMTP_QUIT, _SMTP_OTHER),
        kind="a server that delivers mail",
        asked=(b"LHLO a.example\r\n", b"STARTTLS\r\n"),
    ),
    # As servers did before CVE-2011-0411: what was read before TLS is not forgotten, and a login needs none.
    "smtp-careless": Script(
        _SMTP_GREETING,
        (
            _line(f"EHLO{_ARGUMENT}", "250-mail.lab.example\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"),
            *_SMTP_HELLO,
            _line("AUTH PLAIN", "334 \r\n"),
            _line("STARTTLS", "220 2.0.0 Ready to start TLS\r\n", "upgrade"),
            _SMTP_QUIT,
            _SMTP_OTHER,
        ),
        _SMTP_SECURED,
        forgets=False,
    ),
    # RFC 5804
    "sieve": Script(
        b'"IMPLEMENTATION" "Nightseal lab"\r\n"SASL" ""\r\n"STARTTLS"\r\nOK "ready"\r\n',
        (
            _line("STARTTLS", 'OK "Begin TLS negotiation now"\r\n', "upgrade"),
            _line("LOGOUT", "OK\r\n", "close"),
            _line(_ARGUMENT, 'NO (ENCRYPT-NEEDED) "STARTTLS first"\r\n'),
        ),
        (_line("LOGOUT", "OK\r\n", "close"), _line(_ARGUMENT, 'NO "unknown"\r\n')),
        kind="a server of mail filters",
    ),
    # RFC 4642
    "nntp": Script(
        b"200 news.lab.example Nightseal lab\r\n",
        (
            _line("STARTTLS", "382 Continue with TLS negotiation\r\n", "upgrade"),
            _line("QUIT", "205 Bye\r\n", "close"),
            _line(f"AUTHINFO{_ARGUMENT}", "483 Encryption required\r\n"),
            _line(_ARGUMENT, "500 Unknown command\r\n"),
        ),
        (_line("QUIT", "205 Bye\r\n", "close"), _line(_ARGUMENT, "500 Unknown command\r\n")),
        kind="a news server",
    ),
    # IRCv3, STARTTLS
    "irc": Script(
        b":irc.lab.example NOTICE * :*** Looking up your hostname...\r\n",
        (
            _line("STARTTLS", ":irc.lab.example 670 * :STARTTLS successful\r\n", "upgrade"),
            _line("QUIT", "ERROR :Closing link\r\n", "close"),
            _line(_ARGUMENT, ":irc.lab.example 451 * :You have not registered\r\n"),
        ),
        (_line("QUIT", "ERROR :Closing link\r\n", "close"), _line(_ARGUMENT, ":irc.lab.example 451 * :Register\r\n")),
        kind="a chat server of IRC",
    ),
    # MySQL's client/server protocol: greeting of version 10 and SSLRequest
    "mysql": Script(
        _MYSQL_GREETING,
        (
            Reply(re.compile(rb"(?s)\x20\x00\x00\x01[\x00-\xff][\x08-\x0f\x88-\x8f\xa8-\xaf].{30}"), b"", "upgrade"),
            Reply(re.compile(rb"(?s)[^\x20]..\x01.*mysql_native_password\x00"), _MYSQL_NO_PLAIN, "close"),
        ),
        _last_words(_MYSQL_ERROR),
        unanswered=True,
        kind="a database server of MySQL",
    ),
    # [MS-TDS] 2.2.6.5: PRELOGIN, and its answer with ENCRYPT_ON; what follows travels in packets (scanner.lab.tds)
    "mssql": Script(
        b"",
        (Reply(re.compile(rb"(?s)\x12\x01\x00.{5}.{17,64}"), _TDS_ENCRYPTS, "upgrade"),),
        _last_words(_TDS_ENCRYPTS),
        kind="a database server of Microsoft SQL",
    ),
}
