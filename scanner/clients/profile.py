"""What a client offers in its ClientHello, and what it demands of what it is answered."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from msgspec import Struct

from scanner.evidence import Protocol

_VERSIONS = {
    "SSLv3": Protocol.SSL3,
    "TLSv1.0": Protocol.TLS1_0,
    "TLSv1.1": Protocol.TLS1_1,
    "TLSv1.2": Protocol.TLS1_2,
    "TLSv1.3": Protocol.TLS1_3,
}


class Demands(Struct, frozen=True):
    """What a client refuses after the server has chosen. What nobody measured is None (or no limit).

    Sizes are in bits. `key_types` are the keys of certificates that it takes: `rsa`, `ed25519`, `ed448`, or a curve.
    `sha1_refused_public`, `lifetime_days_public` hold for certificates of public CAs alone.
    """

    rsa_bits: int = 0
    rsa_bits_refused: int = 0
    rsa_bits_max: int | None = None
    dh_bits: int = 0
    dh_bits_refused: int = 0
    dh_bits_max: int | None = None
    key_types: frozenset[str] | None = None
    sha1_refused: bool = False
    sha1_refused_public: bool = False
    md5_refused: bool = False
    names_needed: bool = False
    missing_eku_refused: bool = False
    wrong_eku_refused: bool = False
    usage_for_ecdhe: bool = False
    usage_for_rsa: bool = False
    rfc5746_needed: bool = False
    sha1_signature_refused: bool = False
    signed_exchange_fails_in: frozenset[Protocol] = frozenset()


class Client(Struct, frozen=True):
    """One client. Lists are in its order of preference, names are IANA's (groups and schemes in lower case).

    None stands for what is not known; an empty list was not sent. `key_shares` are the groups of which its first hello
    has a share. `again` is the client in the second hello of its own that it tries after a failure. `core` marks the
    clients that matter most. `how` and `confidence` say how its facts were found.
    """

    id: str
    name: str
    versions: str
    platform: str
    category: str
    how: str
    confidence: str
    core: bool
    supported: bool | None
    oldest: Protocol
    newest: Protocol
    suites: tuple[str, ...]
    groups: tuple[str, ...] | None
    key_shares: tuple[str, ...] | None
    schemes: tuple[str, ...] | None
    demands: Demands
    again: Client | None = None

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.name} {self.versions}"


@functools.cache
def all_clients() -> Mapping[str, Client]:
    """Every client by its id, in the file's order."""
    text = resources.files("scanner.clients").joinpath("clients.toml").read_text("utf-8")
    return {row["id"]: _client(row) for row in tomllib.loads(text)["client"]}


def _client(row: Mapping[str, Any]) -> Client:
    retry = row.get("retry")
    second = None
    if retry:
        added = {
            "ciphers": [*row["ciphers"], *retry.get("ciphers_added", ())],
            "signature_algorithms": [*row["signature_algorithms"], *retry.get("signature_algorithms_added", ())],
        }
        second = _client({key: value for key, value in {**row, **added}.items() if key != "retry"})
    return Client(
        id=row["id"],
        name=row["name"],
        versions=row["versions"],
        platform=row["platform"],
        category=row["category"],
        how=row["how"],
        confidence=row["confidence"],
        core=row["core"],
        supported=row.get("supported"),
        oldest=_VERSIONS[row["protocol_min"]],
        newest=_VERSIONS[row["protocol_max"]],
        suites=tuple(row["ciphers"]),
        groups=_names(row, "groups"),
        key_shares=_names(row, "key_shares"),
        schemes=_names(row, "signature_algorithms"),
        demands=_demands(row),
        again=second,
    )


def _names(row: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    return tuple(name.lower() for name in row[key]) if key in row else None


def _demands(row: Mapping[str, Any]) -> Demands:
    minimum, certificate, legacy = row.get("minimum", {}), row.get("certificate", {}), row.get("legacy", {})
    old = {"tls10_signed_key_exchange": Protocol.TLS1_0, "tls11_signed_key_exchange": Protocol.TLS1_1}
    types = certificate.get("key_types")
    return Demands(
        rsa_bits=minimum.get("rsa_bits", 0),
        rsa_bits_refused=minimum.get("rsa_bits_refused", 0),
        rsa_bits_max=minimum.get("rsa_bits_max"),
        dh_bits=minimum.get("dh_bits", 0),
        dh_bits_refused=minimum.get("dh_bits_refused", 0),
        dh_bits_max=minimum.get("dh_bits_max"),
        key_types=frozenset(types) if types is not None else None,
        sha1_refused=certificate.get("sha1_refused", False),
        sha1_refused_public=certificate.get("sha1_refused_public", False),
        md5_refused=certificate.get("md5_refused", False),
        names_needed=certificate.get("cn_only_refused", False),
        missing_eku_refused=certificate.get("missing_eku_refused", False),
        wrong_eku_refused=certificate.get("wrong_eku_refused", False),
        usage_for_ecdhe=certificate.get("key_usage_checked_ecdhe", False),
        usage_for_rsa=certificate.get("key_usage_checked_rsa", False),
        rfc5746_needed=legacy.get("server_without_rfc5746_accepted") is False,
        sha1_signature_refused=legacy.get("sha1_server_signature_accepted") is False,
        signed_exchange_fails_in=frozenset(version for key, version in old.items() if legacy.get(key) is False),
    )
