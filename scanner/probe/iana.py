"""Code points of TLS, as data: cipher suites, named groups and signature schemes.

The files beside this module (`data/*.csv`) carry the registry, the date and the document of each row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Final

from msgspec import Struct

from scanner.evidence import Protocol

FALLBACK_SCSV: Final = 0x5600
"""TLS_FALLBACK_SCSV (RFC 7507): a signal, never a suite."""

_SIGNALS: Final = frozenset({0x0000, 0x00FF, FALLBACK_SCSV})
_TLS13_ONLY: Final = frozenset({*range(0x1301, 0x1400), 0x00C6, 0x00C7, 0xC0B4, 0xC0B5, *range(0xC103, 0xC107)})
_COMMON_EXCHANGES: Final = ("TLS_ECDHE_RSA_", "TLS_ECDHE_ECDSA_", "TLS_DHE_RSA_", "TLS_RSA_WITH_")
_COMMON_CIPHERS: Final = ("_AES_", "_CHACHA20_", "_3DES_", "_RC4_128_")
_BY_VERSION: Final[Mapping[str, Protocol]] = {"1.2": Protocol.TLS1_2, "1.3": Protocol.TLS1_3}


class CipherSuite(Struct, frozen=True):
    """A cipher suite: its code point, its IANA name and the document that defines it."""

    code: int
    name: str
    reference: str

    @property
    def key_exchange(self) -> str:
        """The part of the name before `_WITH_`, without `TLS_` (`ECDHE_RSA`); empty in TLS 1.3, which has none."""
        exchange, found, _ = self.name.removeprefix("OLD_").removeprefix("TLS_").partition("_WITH_")
        return exchange if found else ""

    @property
    def is_cbc(self) -> bool:
        """Whether it is a block cipher in CBC mode, to which encrypt-then-MAC applies (RFC 7366)."""
        return "_CBC_" in self.name

    @property
    def signed(self) -> bool:
        """Whether the server signs its ephemeral key in TLS 1.2 and older."""
        exchange = self.key_exchange
        return exchange.startswith(("ECDHE_RSA", "ECDHE_ECDSA", "DHE_RSA", "DHE_DSS"))


class Group(Struct, frozen=True):
    """A named group. `bits` is the size of its classical key, None where there is none."""

    code: int
    name: str
    bits: int | None
    protocols: frozenset[Protocol]

    @property
    def finite_field(self) -> bool:
        """Whether it is a finite-field group (RFC 7919)."""
        return self.name.startswith("ffdhe")


class SignatureScheme(Struct, frozen=True):
    """A signature scheme. `key` is the type of the certificate's key."""

    code: int
    name: str
    key: str
    protocols: frozenset[Protocol]


def rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of a data file, without its comments."""
    text = (resources.files("scanner.probe") / "data" / name).read_text(encoding="utf-8")
    yield from csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))


def _protocols(cell: str) -> frozenset[Protocol]:
    return frozenset(_BY_VERSION[version] for version in cell.split())


@cache
def cipher_suites() -> Mapping[int, CipherSuite]:
    """Every cipher suite of SSL 3.0 to TLS 1.3, by code point."""
    suites = rows("cipher_suites.csv")
    return {int(row["code"], 16): CipherSuite(int(row["code"], 16), row["name"], row["reference"]) for row in suites}


@cache
def ssl2_cipher_kinds() -> Mapping[int, CipherSuite]:
    """The cipher kinds of SSL 2.0, by their three-byte code."""
    kinds = rows("ssl2_cipher_kinds.csv")
    return {int(row["code"], 16): CipherSuite(int(row["code"], 16), row["name"], row["reference"]) for row in kinds}


@cache
def groups() -> Mapping[int, Group]:
    """Every named group, by code point."""
    return {
        int(row["code"], 16): Group(
            int(row["code"], 16), row["name"], int(row["bits"]) if row["bits"] else None, _protocols(row["protocols"])
        )
        for row in rows("groups.csv")
    }


@cache
def signature_schemes() -> Mapping[int, SignatureScheme]:
    """Every signature scheme, by code point."""
    return {
        int(row["code"], 16): SignatureScheme(
            int(row["code"], 16), row["name"], row["key"], _protocols(row["protocols"])
        )
        for row in rows("signature_schemes.csv")
    }


@cache
def offered_suites(protocol: Protocol) -> tuple[int, ...]:
    """The suites to offer in `protocol`, the common ones first, for servers that read only the beginning of a list.

    Left out are signalling values, and the SRP suites (RFC 5054): without a user name, which an outsider has not, a
    server that has them refuses the whole hello.
    """
    if protocol is Protocol.SSL2:
        return tuple(ssl2_cipher_kinds())
    suites = [suite for suite in cipher_suites().values() if suite.code not in _SIGNALS and "_SRP_" not in suite.name]
    if protocol is Protocol.TLS1_3:
        newer = [suite.code for suite in suites if suite.code in _TLS13_ONLY]
        return tuple(sorted(newer, key=lambda code: (code >> 8 != 0x13, code)))  # noqa: PLR2004  # RFC 8446's own block
    older = [suite for suite in suites if suite.code not in _TLS13_ONLY]
    return tuple(suite.code for suite in sorted(older, key=_rarity))


def _rarity(suite: CipherSuite) -> tuple[bool, bool, bool, bool]:
    name = suite.name
    return (
        not name.startswith(_COMMON_EXCHANGES),
        not any(cipher in name for cipher in _COMMON_CIPHERS),
        "_GCM_" not in name and "_CHACHA20_" not in name,
        not name.startswith("TLS_ECDHE_"),
    )


_COMMON_GROUPS: Final = (29, 23, 24, 25, 30, 0x11EC, 0x11EB, 0x11ED, 256, 257, 258, 259, 260)


@cache
def offered_groups(protocol: Protocol) -> tuple[int, ...]:
    """The groups to offer in `protocol`, the common ones first. What TLS 1.2 knows holds for all before it."""
    version = protocol if protocol is Protocol.TLS1_3 else Protocol.TLS1_2
    known = [group.code for group in groups().values() if version in group.protocols]
    return tuple(
        sorted(known, key=lambda code: code if code not in _COMMON_GROUPS else _COMMON_GROUPS.index(code) - 99)
    )


_USUAL_PKCS1: Final = ("rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512")


@cache
def offered_schemes(protocol: Protocol) -> tuple[int, ...]:
    """The signature schemes with which a handshake may be signed in `protocol`, the usual ones first."""
    known = [scheme for scheme in signature_schemes().values() if protocol in scheme.protocols]
    usual = [scheme for scheme in known if scheme.name.startswith(("ecdsa_secp", "rsa_pss_rsae", "ed25519"))]
    pkcs1 = [scheme for scheme in known if scheme.name in _USUAL_PKCS1]
    rest = [scheme for scheme in known if scheme not in usual and scheme not in pkcs1]
    return tuple(scheme.code for scheme in (*usual, *pkcs1, *rest))
