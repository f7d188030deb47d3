"""What a rule may know: a target, what was seen there, and how its policy wants it judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct, field
from pydantic import ConfigDict

from scanner.described import Described
from scanner.evidence import TargetEvidence
from scanner.inventory import Environment, Target

UNSEEN_NAMES: Final = ""
"""Stands for the names in a certificate that nobody saw, among `Facts.other_services`."""


class Parameters(Described):
    """Base of every rule's parameters; a rule without any uses it as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Observed(Struct, frozen=True):
    """A target and what was seen there."""

    target: Target
    evidence: TargetEvidence


class OtherService(Struct, frozen=True):
    """An endpoint without HTTP: whether it refuses names that are not its own, and takes a hello for HTTP alone."""

    address: str
    host: str
    strict_names: bool
    takes_alpn: bool | None

    def takes(self, host: str) -> bool | None:
        """Whether it takes what a browser sends to that host; None where nobody saw."""
        return False if self.strict_names and host != self.host else self.takes_alpn


class Facts(Struct, frozen=True):
    """All that a rule may know. `siblings` are the other addresses of the same endpoint.

    `certificate_users` maps a leaf's fingerprint to the names of the environments in which it was served in this run,
    `served` a host to the fingerprints of the leaves that it served, and `prime_users` an unpublished Diffie-Hellman
    modulus in hexadecimal to the names of the environments that have it, `ticket_users` the name of a session ticket's
    key to them. `other_services` maps a name in a certificate to the endpoints without HTTP that present it.
    """

    target: Target
    environment: Environment
    evidence: TargetEvidence
    now: datetime
    siblings: tuple[Observed, ...] = ()
    certificate_users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    served: Mapping[str, frozenset[str]] = field(default_factory=dict)
    prime_users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ticket_users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    other_services: Mapping[str, frozenset[OtherService]] = field(default_factory=dict)
