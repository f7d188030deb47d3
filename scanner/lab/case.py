"""The vocabulary in which the lab's servers are described: a case is data, and the modules that serve it read it."""

from __future__ import annotations

from ssl import TLSVersion
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct, field

from scanner.lab.certificates import CertificateRecipe
from scanner.lab.http import GOOD_SITE, REDIRECT_TO_HTTPS, Site

if TYPE_CHECKING:
    from collections.abc import Mapping

DOMAIN: Final = "lab.example"
AEAD_WITH_FORWARD_SECRECY: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

GOOD_CERTIFICATE: Final = CertificateRecipe()

Vulnerability = Literal[
    "heartbleed", "ccs-injection", "robot", "padding-oracle", "padding-unchecked", "key-reuse", "ticketbleed"
]
Status = Literal["assessed", "partial", "unreachable"]
Way = Literal["certificate", "https", "http"]


class CannotServeError(Exception):
    """This machine lacks what a case needs; the message says what. The lab then serves the others."""


class OpenSsl(Struct, frozen=True, kw_only=True):
    """TLS by Python's `ssl`. The default is right in every way: TLS 1.2 and 1.3, (EC)DHE and AEAD alone."""

    minimum: TLSVersion = TLSVersion.TLSv1_2
    maximum: TLSVersion = TLSVersion.TLSv1_3
    ciphers: str = AEAD_WITH_FORWARD_SECRECY  # an OpenSSL cipher string, for TLS 1.2 and older
    curve: str | None = None  # None: OpenSSL's own choice of groups
    dh_parameters: tuple[int, int] | None = None  # generator and prime
    client_certificate: Literal["none", "optional", "required"] = "none"
    client_renegotiation: bool = False
    security_level: int = 0  # OpenSSL's; what is weak in any way needs 0, and only from 2 on is SHA-1 refused


GOOD_TLS: Final = OpenSsl(security_level=2)
WEAK_KEYS: Final = OpenSsl()


class TlsLite(Struct, frozen=True, kw_only=True):
    """TLS by tlslite-ng, for what OpenSSL 3 no longer speaks. Names are those of its `HandshakeSettings`."""

    minimum: tuple[int, int] = (3, 3)
    maximum: tuple[int, int] = (3, 3)
    ciphers: tuple[str, ...] = ("aes256gcm", "aes128gcm")
    macs: tuple[str, ...] = ("aead",)
    key_exchanges: tuple[str, ...] = ("ecdhe_rsa", "ecdhe_ecdsa")
    dh_parameters: tuple[int, int] | None = None  # generator and prime
    extended_master_secret: bool = True
    secure_renegotiation: bool = True
    fallback_scsv: bool = True
    encrypt_then_mac: bool = True
    compression: bool = False
    vulnerability: Vulnerability | None = None
    signature_hashes: tuple[str, ...] = ("sha512", "sha384", "sha256")


class HelloOnly(Struct, frozen=True, kw_only=True):
    """A server of the nineties as far as its answer to a hello, which is all that tells what it accepts.

    No library has SSL 2.0 or export ciphers any more, so nothing can be said to it after that. Code points are those of
    SSL 2.0's cipher kinds, and of the suites that it accepts in TLS 1.0, in its order.
    """

    ssl2_ciphers: tuple[int, ...] = ()
    suites: tuple[int, ...] = ()


class Node(Struct, frozen=True, kw_only=True):
    """TLS 1.3 by Node.js with OpenSSL 3.5, for groups which OpenSSL 3.0 does not know."""

    groups: str


class Nginx(Struct, frozen=True, kw_only=True):
    """TLS by nginx, for what Python's `ssl` has no switch for. `directives` go into its server block."""

    directives: str = ""


class Raw(Struct, frozen=True):
    """No TLS at all, in one of the ways in which that happens."""

    behaviour: Literal["closed", "silent", "reset", "garbage", "dribble", "plain-http"]


Engine = OpenSsl | TlsLite | HelloOnly | Node | Nginx | Raw


class Case(Struct, frozen=True, kw_only=True):
    """One server of the lab: what is wrong with it, how it is to be made, and what the rules must say of it.

    `expected` has a status by rule id, for what the case exists to show and for some of what must stay untouched by it.
    `status` is the target's: "unreachable" where no probe of the port itself can answer.

    `visible` is how a test sees the flaw by other programs: regular expressions for what OpenSSL prints of the
    certificate, and for what is answered over HTTPS and HTTP. What takes more has a check in `tests/build/lab_checks`.
    """

    name: str
    description: str
    expected: Mapping[str, str]
    visible: Mapping[Way, str] = field(default_factory=dict)
    status: Status = "assessed"
    engine: Engine = GOOD_TLS
    certificate: CertificateRecipe = GOOD_CERTIFICATE
    second_certificate: CertificateRecipe | None = None  # what the second address presents, where it differs
    addresses: tuple[str, ...] = ("127.0.0.1",)
    host_label: str | None = None  # None: the name, with dashes for dots
    port: int = 443
    http_port: int | None = 80
    starttls: str | None = None
    script: str | None = None  # of `starttls.SCRIPTS`; None: the one that `starttls` names
    site: Site = GOOD_SITE
    second_site: Site | None = None  # what the second address serves, where it differs
    plain: Site | None = REDIRECT_TO_HTTPS  # None: the plain port refuses connections
    plain_upgrade: bool = False  # the plain port goes over to TLS when it is asked to (RFC 2817)
    silent_after: int | None = None  # so many handshakes, then it accepts and says nothing
    role: str = "application"  # as its owners configure it, where it does not speak STARTTLS
    application: str = ""  # the lines of an [[environment.application]] there, where the owners demand something of it

    @property
    def host(self) -> str:
        """The name under which the server is scanned."""
        return f"{self.host_label or self.name.replace('.', '-')}.{DOMAIN}"


def expect(passes: str = "", fails: str = "", not_applicable: str = "", indeterminate: str = "") -> dict[str, str]:
    """Write expected statuses down by status: each argument is a list of rule ids with spaces between."""
    by_status = {
        "pass": passes,
        "fail": fails,
        "not-applicable": not_applicable,
        "indeterminate": indeterminate,
    }
    return {rule: status for status, rules in by_status.items() for rule in rules.split()}
