"""What a cipher suite is made of, read from its IANA name.

The names are systematic: `TLS_<key exchange>_<authentication>_WITH_<cipher>_<mode>_<hash>` up to TLS 1.2,
`TLS_<cipher>_<mode>_<hash>` in TLS 1.3, `SSL_CK_…` in SSL 2. So no table has to be kept, and a suite that is registered
tomorrow is understood; what does not follow the scheme is not guessed at (`classify` returns None).
"""

from __future__ import annotations

import functools
import re

from msgspec import Struct

_TLS12 = re.compile(r"(?:TLS|SSL)_(?P<exchange>.+?)_WITH_(?P<cipher>.+)")
_TLS13 = re.compile(r"TLS_(?P<cipher>(?:AES|CHACHA20|SM4|AEGIS|ARIA|SHA)[0-9A-Z_]*?)_(?P<hash>SHA\d+|SM3)")
_SSL2 = re.compile(r"SSL_CK_(?P<cipher>.+)_WITH_(?P<mac>MD5|SHA)")
_MAC = re.compile(r"(?P<cipher>.+)_(?P<mac>MD5|SHA|SHA256|SHA384|SHA512|SM3|IMIT|OMAC|NULL|GOSTR3411)")
_DRAFT = re.compile(r"^OLD_|_draft_\d+$")
_GCM_LIKE = ("_GCM", "_CCM", "_CCM_8", "_POLY1305", "_OCB", "_MGM_L", "_MGM_S")
_MODES = ("_CCM_8", "_CCM", "_GCM", "_CBC", "_OCB", "_MGM_L", "_MGM_S", "_CTR", "_CNT", "_POLY1305")
_EXCHANGES = frozenset(
    {
        "RSA",
        "DH",
        "DHE",
        "ECDH",
        "ECDHE",
        "PSK",
        "KRB5",
        "SRP",
        "FORTEZZA",
        "GOSTR341094",
        "GOSTR341001",
        "GOSTR341112",
        "ECCPWD",
        "NULL",
    }
)
_AUTHENTICATIONS = frozenset({"RSA", "DSS", "ECDSA", "anon", "PSK", "256", "SHA", "KEA", "FIPS"})


class Suite(Struct, frozen=True):
    """A cipher suite, taken apart.

    `key_exchange` and `authentication` are None in TLS 1.3, where they are negotiated apart from the suite. `cipher`
    is without its mode (`AES_128`, `3DES_EDE`, `RC4_128`, `NULL`); `mode` is `CBC`, `GCM`, `CCM`, `CCM_8`, `POLY1305`,
    … or "" of a stream cipher. `mac` is the hash of the record MAC (`MD5`, `SHA`, `SHA256`, …), None in an AEAD.
    """

    name: str
    key_exchange: str | None
    authentication: str | None
    cipher: str
    mode: str
    mac: str | None
    export: bool = False

    @property
    def tls13(self) -> bool:
        """Whether it is of TLS 1.3."""
        return self.key_exchange is None

    @property
    def aead(self) -> bool:
        """Whether encryption and integrity are one (authenticated encryption)."""
        return self.mac is None

    @property
    def cbc(self) -> bool:
        """Whether it is a block cipher in CBC mode."""
        return self.mode == "CBC"

    @property
    def null(self) -> bool:
        """Whether it encrypts nothing."""
        return self.cipher == "NULL"

    @property
    def anonymous(self) -> bool:
        """Whether the server does not prove who it is."""
        return self.authentication == "anon" or self.key_exchange == "NULL"

    @property
    def rc4(self) -> bool:
        """Whether it encrypts with RC4."""
        return self.cipher.startswith("RC4")

    @property
    def block_of_64_bits(self) -> bool:
        """Whether its block cipher has blocks of 64 bits (DES, 3DES, IDEA, RC2, the old GOST)."""
        return self.cipher.startswith(("3DES", "DES", "IDEA", "RC2", "28147", "MAGMA", "FORTEZZA"))

    @property
    def ephemeral(self) -> bool:
        """Whether the key exchange gives forward secrecy. In TLS 1.3 it does, pre-shared keys alone apart."""
        return self.tls13 or self.key_exchange in {"DHE", "ECDHE", "ECCPWD"} or self.anonymous_diffie_hellman

    @property
    def anonymous_diffie_hellman(self) -> bool:
        """Whether it is (EC)DH without authentication, whose keys are ephemeral although the name has no E."""
        return self.authentication == "anon" and self.key_exchange in {"DH", "ECDH"}

    @property
    def finite_field(self) -> bool:
        """Whether the key exchange is ephemeral Diffie-Hellman over a finite field."""
        return self.key_exchange == "DHE" or (self.anonymous_diffie_hellman and self.key_exchange == "DH")

    @property
    def elliptic(self) -> bool:
        """Whether the key exchange is ephemeral Diffie-Hellman on an elliptic curve."""
        return self.key_exchange == "ECDHE" or (self.anonymous_diffie_hellman and self.key_exchange == "ECDH")

    @property
    def rsa_key_transport(self) -> bool:
        """Whether the client encrypts the secret with the server's RSA key."""
        return self.key_exchange == "RSA"


@functools.cache
def classify(name: str) -> Suite | None:
    """Take a suite apart by its IANA name, or return None where the name does not follow the scheme."""
    return _classify(name, _DRAFT.sub("", name))


def _classify(name: str, stem: str) -> Suite | None:
    if match := _SSL2.fullmatch(stem):
        cipher, mode, export = _ssl2_cipher(match["cipher"])
        return Suite(name, "RSA", "RSA", cipher, mode, match["mac"], export)
    if match := _TLS12.fullmatch(stem):
        return _tls12(name, match["exchange"], match["cipher"])
    if match := _TLS13.fullmatch(stem):
        cipher, mode = _mode(match["cipher"])
        if cipher.startswith("SHA"):  # RFC 9150: integrity alone
            return Suite(name, None, None, "NULL", "", cipher)
        return Suite(name, None, None, cipher, mode, None)
    return None


def _tls12(name: str, exchange: str, rest: str) -> Suite | None:
    parts = exchange.split("_")
    export = any(part.startswith("EXPORT") for part in parts)
    parts = ["anon" if part == "ANON" else part for part in parts if not part.startswith("EXPORT")]
    key_exchange, *others = parts
    if key_exchange not in _EXCHANGES or not set(others) <= _AUTHENTICATIONS | _EXCHANGES:
        return None
    if parts == ["PSK", "DHE"]:  # TLS_PSK_DHE_WITH_AES_…_CCM_8 (RFC 6655) is named the wrong way round
        key_exchange, others = "DHE", ["PSK"]
    authentication = others[-1] if others else key_exchange
    if rest.endswith(_GCM_LIKE):
        cipher, mac = rest, None
    elif match := _MAC.fullmatch(rest):
        cipher, mac = match["cipher"], match["mac"]
        if cipher.endswith(_GCM_LIKE):
            mac = None
    else:
        return None
    cipher, mode = _mode(cipher)
    export = export or cipher.endswith("_40") or cipher == "DES40"
    return Suite(name, key_exchange, authentication, cipher, mode, mac, export)


def _mode(text: str) -> tuple[str, str]:
    for mode in _MODES:
        if text.endswith(mode):
            return text.removesuffix(mode), mode.removeprefix("_")
    if text.endswith(("_CBC_40", "_CBC_56")):
        return text.replace("_CBC", ""), "CBC"
    return text, ""


def _ssl2_cipher(text: str) -> tuple[str, str, bool]:
    export = text.endswith("_EXPORT40")
    cipher, mode = _mode(text.removesuffix("_EXPORT40"))
    if cipher == "DES_192_EDE3":
        cipher = "3DES_EDE"
    return cipher, mode, export
