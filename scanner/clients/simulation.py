"""Client against server: the choice that TLS makes (RFC 8446, RFC 5246), then what the client demands of the answer.

Pure functions. Trust, host name and dates are no part of it: rules judge those, and they concern every client alike.
What is not known, of the server or of the client, gives no answer wherever it decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct, structs

from scanner.clients.outcome import Outcome, Why
from scanner.clients.profile import Client, Demands
from scanner.clients.server import Server, ServerKey, Version
from scanner.evidence import AcceptedSuite, Protocol

_OLDER: Final = frozenset({Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1})
_ONLY_TLS12: Final = ("SHA256", "SHA384", "CCM", "CCM_8")
_CURVE_SCHEMES: Final = {
    "secp256r1": "ecdsa_secp256r1_sha256",
    "secp384r1": "ecdsa_secp384r1_sha384",
    "secp521r1": "ecdsa_secp521r1_sha512",
}
_RSA_EXCHANGES: Final = frozenset({"ECDHE_RSA", "DHE_RSA", "RSA"})
_SMALLEST_PSS_BITS: Final = 1024
"""RSA-PSS with SHA-512 does not fit into less."""
_EDWARDS: Final = frozenset({"ed25519", "ed448"})


class _Chosen(Struct, frozen=True):
    """What the server chose."""

    outcome: Outcome
    key: ServerKey
    exchange: str
    bits: int | None = None


def connect(client: Client, server: Server) -> Outcome:
    """What becomes of the client at the server; its second hello is tried where the first fails and it has one."""
    found = _attempt(client, server)
    if found.connects is False and client.again is not None:
        again = _attempt(client.again, server)
        return structs.replace(again, second_hello=True) if again.connects is not False else found
    return found


def _attempt(client: Client, server: Server) -> Outcome:
    versions = [item for item in Protocol if client.oldest <= item <= client.newest]
    unknown = [item for item in versions if item in server.unknown]
    common = [item for item in versions if item in server.versions]
    if not common:
        return Outcome(None, Why.SERVER_UNKNOWN) if unknown else Outcome(connects=False, why=Why.PROTOCOL)
    newest = common[-1]
    if unknown and unknown[-1] > newest:
        return Outcome(None, Why.SERVER_UNKNOWN)
    version = server.versions[newest]
    if not server.keys:
        return Outcome(None, Why.SERVER_UNKNOWN, newest)
    chosen = _tls13(client, server, version) if newest is Protocol.TLS1_3 else _older(client, server, newest, version)
    if isinstance(chosen, Why):
        return _without_choice(chosen, newest, version)
    return _demanded(client.demands, chosen, server)


def _without_choice(why: Why, protocol: Protocol, version: Version) -> Outcome:
    """No suite could be chosen: that is firm where all suites of the server are known."""
    if why in {Why.SERVER_UNKNOWN, Why.CLIENT_UNKNOWN} or not version.complete:
        return Outcome(None, why if version.complete else Why.SERVER_UNKNOWN, protocol)
    return Outcome(connects=False, why=why, protocol=protocol)


def _tls13(client: Client, server: Server, version: Version) -> _Chosen | Why:
    why = Why.SUITE
    for suite in _deciding(client, version):
        if not _is_tls13(suite.name):
            continue
        group = _tls13_group(client, version, suite)
        if isinstance(group, Why):
            why = group
            continue
        signed = _signed(client, server.keys, Protocol.TLS1_3, version)
        if signed is None:
            why = Why.SIGNATURE
            continue
        key, scheme = signed
        retry = client.key_shares is not None and group not in client.key_shares
        made = _made(Protocol.TLS1_3, suite.name, group, scheme, retry=retry)
        return _Chosen(made, key, "")
    return why


def _tls13_group(client: Client, version: Version, suite: AcceptedSuite) -> str | Why:
    """A group of which the first hello has a share, else the first of the server's (as OpenSSL chooses)."""
    if client.groups is None:
        return Why.CLIENT_UNKNOWN
    if version.groups is None:
        # Which groups the server has is not known, but the one that it was seen with is among them.
        return suite.group if suite.group in client.groups else Why.SERVER_UNKNOWN
    both = [group for group in version.groups if group in client.groups]
    ready = [group for group in client.key_shares or () if group in both]
    return (ready or both or [Why.GROUP])[0]


def _older(client: Client, server: Server, protocol: Protocol, version: Version) -> _Chosen | Why:
    why = Why.SUITE
    for suite in _deciding(client, version):
        if _is_tls13(suite.name) or (protocol in _OLDER and suite.name.endswith(_ONLY_TLS12)):
            continue
        exchange = suite.name.removeprefix("TLS_").partition("_WITH_")[0]
        keys = _fitting(client, server.keys, exchange)
        if not keys:
            continue
        group: str | Why | None = None
        if exchange.startswith("ECDHE"):
            group = _curve(client, version, suite)
            if isinstance(group, Why):
                why = group
                continue
        made = _made(protocol, suite.name, group)
        if exchange == "RSA":
            return _Chosen(made, keys[0], exchange)
        signed = _signed(client, keys, protocol, version)
        if signed is None:
            why = Why.SIGNATURE
            continue
        key, scheme = signed
        finite = not exchange.startswith("ECDHE")
        named = f"dh-{suite.ephemeral_bits}" if finite and suite.ephemeral_bits else group
        made = structs.replace(made, signature=scheme, group=named)
        return _Chosen(made, key, exchange, suite.ephemeral_bits if finite else None)
    return why


def _deciding(client: Client, version: Version) -> Sequence[AcceptedSuite]:
    """The suites that both have, in the order of whoever decides."""
    offered = {name: place for place, name in enumerate(client.suites)}
    common = [suite for suite in version.suites if suite.name in offered]
    if not version.own_order:
        return sorted(common, key=lambda suite: offered[suite.name])
    first = next((name for name in client.suites if any(suite.name == name for suite in common)), "")
    if version.chacha20_first and "CHACHA20" in first:
        return sorted(common, key=lambda suite: "CHACHA20" not in suite.name)
    return common


def _made(
    protocol: Protocol, suite: str, group: str | None, scheme: str | None = None, *, retry: bool = False
) -> Outcome:
    secret = _is_tls13(suite) or "DHE_" in suite
    return Outcome(
        connects=True,
        protocol=protocol,
        suite=suite,
        group=group,
        signature=scheme,
        forward_secrecy=secret,
        retry=retry,
    )


def _is_tls13(suite: str) -> bool:
    return "_WITH_" not in suite


def _fitting(client: Client, keys: Sequence[ServerKey], exchange: str) -> Sequence[ServerKey]:
    if exchange in _RSA_EXCHANGES:
        return [key for key in keys if key.kind == "rsa" or (key.kind == "rsa-pss" and exchange != "RSA")]
    if exchange == "ECDHE_ECDSA":
        curves = client.groups or ()
        return [
            key
            for key in keys
            if key.kind in _EDWARDS or (not key.kind.startswith("rsa") and (not curves or key.kind in curves))
        ]
    return ()


def _curve(client: Client, version: Version, suite: AcceptedSuite) -> str | Why:
    """The curve of an ephemeral exchange before TLS 1.3, where neither hybrids nor finite fields are meant."""
    if client.groups is None:
        return Why.CLIENT_UNKNOWN
    if version.groups is None:
        return suite.group if suite.group is not None and suite.group in client.groups else Why.SERVER_UNKNOWN
    if not client.groups:  # without the extension the server may take any (RFC 8422 section 4)
        return next(iter(version.groups), suite.group or "secp256r1")
    first, second = (version.groups, client.groups) if version.own_order else (client.groups, version.groups)
    return next((group for group in first if group in second and _is_curve(group)), Why.GROUP)


def _is_curve(group: str) -> bool:
    return not group.startswith("ffdhe") and "mlkem" not in group and "kyber" not in group


def _signed(
    client: Client, keys: Sequence[ServerKey], protocol: Protocol, version: Version
) -> tuple[ServerKey, str | None] | None:
    """The key that signs and the scheme (None where it is not known); None where no scheme is common to both."""
    for key in keys:
        if protocol in _OLDER:
            return key, "sha1"
        if client.schemes is None:
            return key, None
        if not client.schemes:
            old = "rsa_pkcs1_sha1" if key.kind.startswith("rsa") else "ecdsa_sha1"
            if version.schemes is None or old in version.schemes:
                return key, "sha1"
            continue
        both = (name for name in client.schemes if version.schemes is None or name in version.schemes)
        for name in both:
            if _fits(name, key, protocol):
                return key, name
    return None


def _fits(scheme: str, key: ServerKey, protocol: Protocol) -> bool:
    if key.kind in _EDWARDS:
        return scheme == key.kind
    if key.kind == "rsa-pss":
        return scheme.startswith("rsa_pss_pss")
    if key.kind == "rsa":
        if scheme.startswith("rsa_pss_rsae"):
            return key.bits >= _SMALLEST_PSS_BITS
        return protocol is Protocol.TLS1_2 and (scheme.startswith("rsa_pkcs1") or scheme.endswith("_rsa"))
    if protocol is Protocol.TLS1_3:
        return scheme == _CURVE_SCHEMES.get(key.kind)
    return scheme.startswith("ecdsa_") or scheme.endswith("_ecdsa")


def _demanded(demands: Demands, chosen: _Chosen, server: Server) -> Outcome:
    """What the client makes of the server's choice."""
    outcome = chosen.outcome
    found = [why for why in _refusals(demands, chosen, server) if why is not None]
    firm = [why for why in found if why not in {Why.SERVER_UNKNOWN, Why.CLIENT_UNKNOWN}]
    if firm:
        return Outcome(connects=False, why=firm[0], protocol=outcome.protocol, suite=outcome.suite)
    return Outcome(None, found[0], outcome.protocol, outcome.suite) if found else outcome


def _refusals(demands: Demands, chosen: _Chosen, server: Server) -> Iterator[Why | None]:
    signature, protocol = chosen.outcome.signature, chosen.outcome.protocol
    if chosen.exchange != "RSA" and protocol in demands.signed_exchange_fails_in:
        yield Why.OLD_SIGNATURE
    if signature and protocol is Protocol.TLS1_2 and signature.endswith("sha1") and demands.sha1_signature_refused:
        yield Why.OLD_SIGNATURE
    if chosen.exchange.startswith("DHE") and (demands.dh_bits or demands.dh_bits_max):
        yield _size(chosen.bits, demands.dh_bits, demands.dh_bits_refused, demands.dh_bits_max, Why.DH_BITS)
    if demands.rfc5746_needed and protocol is not Protocol.TLS1_3:
        yield {True: None, False: Why.RENEGOTIATION, None: Why.SERVER_UNKNOWN}[server.secure_renegotiation]
    yield from _certificate_refusals(demands, chosen.key, chosen.exchange)


def _certificate_refusals(demands: Demands, key: ServerKey, exchange: str) -> Iterator[Why | None]:
    if key.kind.startswith("rsa"):
        smallest, refused, largest = demands.rsa_bits, demands.rsa_bits_refused, demands.rsa_bits_max
        yield _size(key.bits, smallest, refused, largest, Why.RSA_BITS)
    if demands.key_types is not None and key.kind != "rsa-pss" and key.kind not in demands.key_types:
        yield Why.KEY_TYPE
    if key.signature_hash == "sha1" and (demands.sha1_refused or (demands.sha1_refused_public and key.public)):
        yield Why.SHA1_CERTIFICATE
    if key.signature_hash == "md5" and demands.md5_refused:
        yield Why.MD5_CERTIFICATE
    if demands.names_needed and not key.named:
        yield Why.NO_NAMES
    usable = key.usable_as_server
    if (usable is None and demands.missing_eku_refused) or (usable is False and demands.wrong_eku_refused):
        yield Why.EXTENDED_KEY_USAGE
    if exchange == "RSA" and demands.usage_for_rsa and not key.enciphers:
        yield Why.KEY_USAGE
    if exchange.startswith("ECDHE") and demands.usage_for_ecdhe and not key.signs:
        yield Why.KEY_USAGE


def _size(bits: int | None, smallest: int, refused: int, largest: int | None, why: Why) -> Why | None:
    """Whether a key is of a size that is taken: not every size was tried, so between two steps nobody knows."""
    if bits is None:
        return Why.SERVER_UNKNOWN
    if bits <= refused or (largest is not None and bits > largest):
        return why
    return Why.CLIENT_UNKNOWN if bits < smallest else None
