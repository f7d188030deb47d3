"""What becomes of one client at one server."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from scanner.evidence import Protocol


class Why(StrEnum):
    """Why a client does not connect, or why nobody can tell."""

    PROTOCOL = "no common protocol version"
    SUITE = "no common cipher suite"
    GROUP = "no common group"
    SIGNATURE = "no common signature algorithm"
    OLD_SIGNATURE = "it takes no signature over SHA-1, which this version has"
    RSA_BITS = "the server's RSA key is of a size that it refuses"
    DH_BITS = "the server's DH key is of a size that it refuses"
    KEY_TYPE = "it takes no certificate with a key of that type"
    SHA1_CERTIFICATE = "the certificate is signed with SHA-1"
    MD5_CERTIFICATE = "the certificate is signed with MD5"
    NO_NAMES = "the certificate has no subjectAltName"
    EXTENDED_KEY_USAGE = "the certificate is not for servers (extended key usage)"
    KEY_USAGE = "the certificate's key usage does not allow this key exchange"
    RENEGOTIATION = "the server lacks secure renegotiation (RFC 5746)"
    SERVER_UNKNOWN = "not all that decides it was seen at the server"
    CLIENT_UNKNOWN = "not all that decides it is known of the client"


class Outcome(Struct, frozen=True):
    """Whether a client connects (None where nobody can tell) and with what, or why not.

    Whether it connects and the version are firm. Suite, group and signature are what servers commonly choose: one that
    has an order of its own for groups may choose another.
    """

    connects: bool | None
    why: Why | None = None
    protocol: Protocol | None = None
    suite: str | None = None
    group: str | None = None
    signature: str | None = None
    forward_secrecy: bool | None = None
    retry: bool = False
    """The server asks for another hello first, with a share of its group."""
    second_hello: bool = False
    """The client connects in a second attempt of its own, with more than it offers at first."""
