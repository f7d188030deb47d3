"""A server as a client meets it: what of its evidence decides whether they understand each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from scanner.evidence import AcceptedSuite, Attempt, Deployment, Extension, KeyType, Protocol, TlsEvidence

_SERVER_AUTH: Final = frozenset({"1.3.6.1.5.5.7.3.1", "2.5.29.37.0"})
"""serverAuth, and anyExtendedKeyUsage (RFC 5280 section 4.2.1.12)."""


class Version(Struct, frozen=True):
    """What a server accepts in one protocol version, in its order where it has one.

    `groups` and `schemes` are None where they are not known. `complete` tells that nothing is missing in `suites`.
    """

    suites: tuple[AcceptedSuite, ...]
    own_order: bool
    chacha20_first: bool
    groups: tuple[str, ...] | None
    schemes: tuple[str, ...] | None
    complete: bool


class ServerKey(Struct, frozen=True):
    """The key of a certificate that the server has: `rsa`, `rsa-pss`, `ed25519`, `ed448`, or the name of a curve.

    Of the certificate only what clients ask of it is held, so that servers that are set up alike are equal.
    `usable_as_server` tells whether extended key usage allows servers; None where the extension is missing. `enciphers`
    and `signs` tell whether key usage, where the extension is there, allows that. `named` tells whether there are names
    in the extension for them (or it can't be read, of which nothing is claimed).
    """

    kind: str
    bits: int
    signature_hash: str | None
    public: bool | None
    usable_as_server: bool | None
    enciphers: bool
    signs: bool
    named: bool


class Server(Struct, frozen=True):
    """What clients meet. `unknown` are versions of which nobody knows whether they are negotiated."""

    versions: Mapping[Protocol, Version]
    unknown: frozenset[Protocol]
    keys: tuple[ServerKey, ...]
    secure_renegotiation: bool | None


def server_of(tls: TlsEvidence) -> Server:
    """The server of which that was seen."""
    versions, unknown = {}, set()
    for protocol in Protocol:
        attempt = tls.offer(protocol)
        offer = attempt.value
        if offer is None or (not offer.negotiated and attempt.cut_off is not None):
            unknown.add(protocol)
        elif offer.negotiated:
            confirmed = tuple(suite for suite in offer.suites if not suite.unconfirmed)
            versions[protocol] = Version(
                confirmed,
                bool(offer.server_order),
                bool(offer.chacha20_first),
                None if tls.classical_curves_only else _all_of(tls.groups.get(protocol)),
                _all_of(tls.signature_schemes.get(protocol)),
                complete=attempt.cut_off is None and len(confirmed) == len(offer.suites),
            )
    return Server(versions, frozenset(unknown), _keys(tls), tls.secure_renegotiation.value)


def _all_of(attempt: Attempt[tuple[str, ...]] | None) -> tuple[str, ...] | None:
    """The names, where they are known to be all."""
    return None if attempt is None or attempt.incomplete is not None else attempt.value


def _keys(tls: TlsEvidence) -> tuple[ServerKey, ...]:
    deployments = tls.certificates.value or ()
    named = [item for item in deployments if item.with_sni] or list(deployments)
    unique: dict[str, ServerKey] = {}
    for item in named:
        key = _key(item)
        unique.setdefault(key.kind, key)
    return tuple(unique.values())


def _key(deployment: Deployment) -> ServerKey:
    leaf = deployment.leaf
    kind = leaf.key_type.value
    if leaf.key_type is KeyType.ECDSA:
        kind = leaf.curve or kind
    extended = leaf.extended_key_usage
    return ServerKey(
        kind=kind,
        bits=leaf.key_bits,
        signature_hash=leaf.signature_hash,
        public=deployment.publicly_trusted,
        usable_as_server=bool(_SERVER_AUTH & set(extended)) if extended else None,
        enciphers=leaf.key_usage is None or "keyEncipherment" in leaf.key_usage,
        signs=leaf.key_usage is None or "digitalSignature" in leaf.key_usage,
        named=leaf.unreadable(Extension.SUBJECT_ALT_NAME) or bool(leaf.dns_names or leaf.ip_addresses),
    )
