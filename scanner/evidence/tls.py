"""What a server accepts and does in TLS."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from scanner.evidence.attempt import Attempt, Failure, not_run
from scanner.evidence.certificates import Deployment, Protocol

_OLDEST_FIRST: Final = tuple(Protocol)


@dataclass(frozen=True, slots=True)
class AcceptedSuite:
    """A cipher suite that the server accepted, with the ephemeral key it then offered, where that was seen.

    `name` is the IANA name; `group` an IANA group name in lower case (`secp256r1`, `ffdhe2048`, `x25519mlkem768`);
    `ephemeral_bits` the size of the (EC)DH key in bits. `dh_prime` names a finite-field prime that is published
    (`ffdhe2048`, `rfc5114-…`, `oakley-14`) or comes with a program (`apache-2.0.18-1024`), or is "custom"; "composite"
    is a modulus that is no prime at all.
    `dh_modulus` is the modulus itself in hexadecimal where no name is published, `dh_safe` tells whether half of it is
    prime too (None where that was not tested), `dh_generator_valid` whether the generator is one at all: 2 to p - 2.
    `unconfirmed` marks a suite that the server chose, but of which no handshake was completed: nobody may be able to.
    """

    name: str
    group: str | None = None
    ephemeral_bits: int | None = None
    dh_prime: str | None = None
    unconfirmed: bool = False
    dh_modulus: str | None = None
    dh_safe: bool | None = None
    dh_generator_valid: bool | None = None


@dataclass(frozen=True, slots=True)
class ProtocolOffer:
    """What a server accepts in one protocol version: nothing (no suites) means that it does not negotiate it.

    The suites are in the server's order where `server_order` is True, else in the order in which they were found.
    `server_order` is None where it was not found out (or means nothing: fewer than two suites). `chacha20_first` tells
    whether a server that imposes its order makes the usual exception: a client that prefers ChaCha20 gets it. An offer
    without suites is only made where the question was asked to its end.
    """

    suites: tuple[AcceptedSuite, ...] = ()
    server_order: bool | None = None
    chacha20_first: bool | None = None

    @property
    def negotiated(self) -> bool:
        """Whether the server negotiates the protocol at all."""
        return bool(self.suites)


class ClientAuthentication(StrEnum):
    """Whether the server asks for a client certificate in the handshake."""

    NOT_ASKED = "not-asked"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Robot(StrEnum):
    """The answers of a ROBOT test."""

    NOT_VULNERABLE = "not-vulnerable"
    RSA_NOT_OFFERED = "rsa-not-offered"
    WEAK_ORACLE = "weak-oracle"
    STRONG_ORACLE = "strong-oracle"


class Ticketbleed(StrEnum):
    """The answers of a Ticketbleed test. NO_TICKETS: no session ticket is issued before TLS 1.3."""

    NO_TICKETS = "no-tickets"
    NOT_VULNERABLE = "not-vulnerable"
    VULNERABLE = "vulnerable"


class TicketKey(StrEnum):
    """What is told of the key of session tickets instead of its name.

    NO_TICKETS: none is issued. NAMELESS: their form shows no name. ZEROS: a key of zeros made their MAC, so that
    anybody can open and make them.
    """

    NO_TICKETS = "no-tickets"
    NAMELESS = "nameless"
    ZEROS = "zeros"


class NameReaction(StrEnum):
    """How a server reacts to a server_name that it was not asked under, or to none."""

    SAME_CERTIFICATE = "same-certificate"
    OTHER_CERTIFICATE = "other-certificate"
    ALERT = "alert"
    UNRECOGNIZED_NAME = "unrecognized-name"


@dataclass(frozen=True, slots=True)
class TlsEvidence:
    """What is known of a target's TLS, from one engine or merged from several (`merge`).

    A list that was cut off (`Attempt.incomplete`) holds what was seen until then: accepted, whatever came afterwards.
    `groups` and `signature_schemes` are per protocol, IANA names in lower case, in the server's order of preference
    where it has one. Booleans tell what the server does: `extended_master_secret` and `encrypt_then_mac` are of TLS 1.2
    and older alone, `client_renegotiation` that it renegotiates at a client's wish often enough to exhaust it,
    `compression` that it compresses, `early_data` that it accepts 0-RTT, `fallback_scsv` that it refuses a downgrade.
    `max_early_data_size` is the largest in bytes that a session ticket of TLS 1.3 allows, 0 where none allows any.
    `padding_oracle` names the broken records in CBC that the server tells from others by its answers, `reused_keys` the
    key exchanges in which several connections were shown one ephemeral key. `ticket_key` is the name, in hexadecimal,
    of the key that makes session tickets, which is sent along in plain, or a `TicketKey`; `ticket_key_since` when that
    key was seen first, where an earlier run saw it already. `other_alpn` tells that a
    hello for HTTP alone is accepted where none is spoken. These and `ticketbleed` are asked where a policy judges them.
    `intolerances` names what an unusual but correct ClientHello broke (`size`, `version`, …).
    `classical_curves_only` tells that the engine asked for no other groups than elliptic curves, and for those in the
    newest protocol alone: what `groups` does not list may still be accepted.
    """

    protocols: Mapping[Protocol, Attempt[ProtocolOffer]] = field(default_factory=dict)
    groups: Mapping[Protocol, Attempt[tuple[str, ...]]] = field(default_factory=dict)
    signature_schemes: Mapping[Protocol, Attempt[tuple[str, ...]]] = field(default_factory=dict)
    certificates: Attempt[tuple[Deployment, ...]] = field(default_factory=not_run)
    alpn: Attempt[tuple[str, ...]] = field(default_factory=not_run)
    extended_master_secret: Attempt[bool] = field(default_factory=not_run)
    encrypt_then_mac: Attempt[bool] = field(default_factory=not_run)
    secure_renegotiation: Attempt[bool] = field(default_factory=not_run)
    client_renegotiation: Attempt[bool] = field(default_factory=not_run)
    compression: Attempt[bool] = field(default_factory=not_run)
    early_data: Attempt[bool] = field(default_factory=not_run)
    max_early_data_size: Attempt[int] = field(default_factory=not_run)
    fallback_scsv: Attempt[bool] = field(default_factory=not_run)
    session_ids: Attempt[bool] = field(default_factory=not_run)
    session_tickets: Attempt[bool] = field(default_factory=not_run)
    client_authentication: Attempt[ClientAuthentication] = field(default_factory=not_run)
    heartbleed: Attempt[bool] = field(default_factory=not_run)
    ccs_injection: Attempt[bool] = field(default_factory=not_run)
    robot: Attempt[Robot] = field(default_factory=not_run)
    padding_oracle: Attempt[tuple[str, ...]] = field(default_factory=not_run)
    reused_keys: Attempt[tuple[str, ...]] = field(default_factory=not_run)
    ticket_key: Attempt[str] = field(default_factory=not_run)
    ticketbleed: Attempt[Ticketbleed] = field(default_factory=not_run)
    other_alpn: Attempt[bool] = field(default_factory=not_run)
    without_sni: Attempt[NameReaction] = field(default_factory=not_run)
    wrong_sni: Attempt[NameReaction] = field(default_factory=not_run)
    intolerances: Attempt[tuple[str, ...]] = field(default_factory=not_run)
    classical_curves_only: bool = False
    ticket_key_since: datetime | None = None

    @classmethod
    def failed(cls, failure: Failure) -> Self:
        """What is known where nothing could be observed: of every fact the reason why."""
        reason: Attempt[Any] = Attempt(failure=failure)
        # An attempt is one that nobody made unless it is given; mappings by protocol have no entries then.
        made = {item.name: reason for item in dataclasses.fields(cls) if item.default_factory is not_run}
        return cls(**made)  # type: ignore[arg-type]  # names and types are the dataclass's own

    def offer(self, protocol: Protocol) -> Attempt[ProtocolOffer]:
        """What the server accepts in `protocol`, as far as anyone looked."""
        return self.protocols.get(protocol) or not_run()

    @property
    def negotiated(self) -> tuple[Protocol, ...]:
        """The protocols that were seen to be negotiated, oldest first."""
        # Most rules ask, of every target.
        seen = self.protocols
        return tuple(
            [at for at in _OLDEST_FIRST if (offer := seen.get(at)) is not None and offer.value and offer.value.suites]
        )
