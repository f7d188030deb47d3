"""The one table of protocols in which a plain connection is upgraded to TLS.

A row says all that is known of a protocol without speaking it. Adding one takes its row, a module of
`scanner/probe/net/starttls` that speaks it, and a script of the lab's server in `scanner/lab/starttls.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a protocol is asked for, and where it is spoken.

    `schemes` are those of URLs, with the port that each means, `tls_schemes` those under which TLS begins at once.
    `ports` and `tls_ports` are others where it is spoken. `called` are the names by which nmap, sslyze and testssl.sh
    know it besides. Servers of a `sparing` protocol commonly take few connections from one client, and turn others away
    meanwhile.
    """

    schemes: Mapping[str, int]
    tls_schemes: Mapping[str, int] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    tls_ports: tuple[int, ...] = ()
    called: tuple[str, ...] = ()
    sparing: bool = True


_NOWHERE: Final = Spoken({})


class StartTls(StrEnum):
    """The protocols, in the order in which they are listed to people."""

    SMTP = "smtp", Spoken({"smtp": 25, "submission": 587}, {"smtps": 465})
    XMPP = "xmpp", Spoken({"xmpp": 5222}, tls_ports=(5223,), called=("xmpp-client",))
    XMPP_SERVER = "xmpp-server", Spoken({"xmpp-server": 5269}, tls_ports=(5270,), called=("xmpp_server",))
    FTP = "ftp", Spoken({"ftp": 21}, {"ftps": 990}, tls_ports=(989,))
    POP3 = "pop3", Spoken({"pop3": 110}, {"pop3s": 995})
    LDAP = "ldap", Spoken({"ldap": 389}, {"ldaps": 636}, ports=(3268,), tls_ports=(3269,))
    IMAP = "imap", Spoken({"imap": 143}, {"imaps": 993}, called=("imap2",))
    RDP = "rdp", Spoken({"rdp": 3389}, called=("ms-wbt-server",), sparing=False)
    POSTGRES = "postgres", Spoken({"postgres": 5432, "postgresql": 5432}, sparing=False)
    LMTP = "lmtp", Spoken({"lmtp": 24})
    SIEVE = "sieve", Spoken({"sieve": 4190})
    NNTP = "nntp", Spoken({"nntp": 119}, {"nntps": 563})
    IRC = "irc", Spoken({"irc": 6667}, {"ircs": 6697})
    MYSQL = "mysql", Spoken({"mysql": 3306, "mariadb": 3306}, sparing=False)
    MSSQL = "mssql", Spoken({"mssql": 1433}, called=("ms-sql-s",), sparing=False)

    spoken: Spoken

    def __new__(cls, name: str, spoken: Spoken = _NOWHERE) -> Self:
        """Make a member whose value is its name alone, by which one is looked up: `StartTls("smtp")`."""
        made = str.__new__(cls, name)
        made._value_, made.spoken = name, spoken
        return made

    @property
    def ports(self) -> frozenset[int]:
        """Where it begins in plain."""
        return frozenset({*self.spoken.schemes.values(), *self.spoken.ports})

    @property
    def tls_ports(self) -> frozenset[int]:
        """Where it is spoken inside TLS from the beginning."""
        return frozenset({*self.spoken.tls_schemes.values(), *self.spoken.tls_ports})

    @property
    def tls_scheme(self) -> str:
        """The scheme under which TLS begins at once; that of TLS itself where it has none."""
        return next(iter(self.spoken.tls_schemes), "tls")
