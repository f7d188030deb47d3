"""What a server would accept after a change that nobody has made yet: "no tls1.2 cbc", or whatever a policy demands.

A change takes away and adds nothing. It is made to evidence, so that the same computation answers for the server as it
is and as it would be, without a connection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from msgspec import Struct, structs

from scanner.errors import UsageError, nearest
from scanner.evaluate import judge
from scanner.evidence import AcceptedSuite, Attempt, Protocol, ProtocolOffer, TlsEvidence
from scanner.policy import Policy
from scanner.rules import BoundRule, Facts, bind
from scanner.rules.tls.suites import Suite, classify
from scanner.verdict import Severity, Status

_KINDS: Final[Mapping[str, Callable[[Suite], bool]]] = {
    "cbc": lambda suite: suite.cbc,
    "gcm": lambda suite: suite.mode == "GCM",
    "ccm": lambda suite: suite.mode.startswith("CCM"),
    "chacha20": lambda suite: suite.cipher.startswith("CHACHA20"),
    "aead": lambda suite: suite.aead,
    "aes128": lambda suite: suite.cipher == "AES_128",
    "aes256": lambda suite: suite.cipher == "AES_256",
    "camellia": lambda suite: suite.cipher.startswith("CAMELLIA"),
    "3des": lambda suite: suite.cipher.startswith("3DES"),
    "rc4": lambda suite: suite.rc4,
    "null": lambda suite: suite.null,
    "export": lambda suite: suite.export,
    "anonymous": lambda suite: suite.anonymous,
    "sha1": lambda suite: suite.mac == "SHA",
    "md5": lambda suite: suite.mac == "MD5",
    "rsa": lambda suite: suite.rsa_key_transport,
    "dhe": lambda suite: suite.finite_field,
    "ecdhe": lambda suite: suite.elliptic,
    "ecdsa": lambda suite: suite.authentication == "ECDSA",
}
"""Words for suites. "rsa" is the key exchange in which the client encrypts to the server's RSA key."""
_DEMANDING: Final = ("proto.no-", "cipher.no-", "cipher.allowed", "cipher.forward-secrecy", "integrity.aead")
_DEMANDING_OF_SUITES: Final = (*_DEMANDING, "integrity.no-weak-mac", "vuln.sweet32")
_DEMANDING_OF_GROUPS: Final = ("kex.allowed-groups", "kex.min-ec-bits")
_EXAMPLE: Final = 'such as "no tls1.2 cbc", "only tls1.3" or "no rsa, no secp256r1"'


class _Clause(Struct, frozen=True):
    """One clause of a change: what all its words mean together goes, or with `only` all else does."""

    only: bool
    protocols: frozenset[Protocol]
    kinds: tuple[str, ...]
    names: frozenset[str]

    def means(self, protocol: Protocol, name: str) -> bool:
        suite = classify(name)
        return (
            (not self.protocols or protocol in self.protocols)
            and (not self.names or name.upper() in self.names)
            and (not self.kinds or (suite is not None and all(_KINDS[kind](suite) for kind in self.kinds)))
        )


class ClientChange(Struct, frozen=True):
    """A change in words: clauses by commas."""

    clauses: tuple[_Clause, ...]
    groups: frozenset[str]

    def applied(self, tls: TlsEvidence) -> TlsEvidence:
        """The evidence of the server as it would be."""
        kept = without_suites(tls, lambda protocol, suite: any(_goes(item, protocol, suite) for item in self.clauses))
        return without_groups(kept, self.groups)


def _goes(clause: _Clause, protocol: Protocol, suite: AcceptedSuite) -> bool:
    return clause.means(protocol, suite.name) is not clause.only


def parse_change(text: str, groups: Iterable[str]) -> ClientChange:
    """Read a change: "no WORD…" takes away what all the words mean, "only WORD…" all else.

    Commas part clauses. Words are protocols (tls1.2; several are alternatives), kinds of suites, names of suites, and
    after "no" names of groups.

    Raises:
        UsageError: it is none, or a word is not known.
    """
    known = frozenset(groups)
    clauses: list[_Clause] = []
    gone: set[str] = set()
    for part in text.split(","):
        head, *words = part.lower().split() or [""]
        if head not in {"no", "only"} or not words:
            raise UsageError(f'--if "{part.strip()}": begins with "no" or "only" and says what ({_EXAMPLE})')
        if head == "no" and all(word in known for word in words):
            gone.update(words)
            continue
        clauses.append(_clause(head == "only", words, known))
    return ClientChange(tuple(clauses), frozenset(gone))


def _clause(only: bool, words: list[str], groups: frozenset[str]) -> _Clause:  # noqa: FBT001  # which of two heads it has
    protocols, kinds, names = set(), list[str](), set()
    for word in words:
        if word in set(Protocol):
            protocols.add(Protocol(word))
        elif word in _KINDS:
            kinds.append(word)
        elif word.startswith(("tls_", "ssl_")) and classify(word.upper()) is not None:
            names.add(word.upper())
        elif word in groups:
            raise UsageError(f'--if: "{word}" is a group: write it as a separate clause, such as "no {word}"')
        else:
            every = [*Protocol, *_KINDS]
            hint = nearest(word, [*every, *groups]) or f"known are {', '.join(every)}, suites and groups by name"
            raise UsageError(f'--if: "{word}" is not known ({hint})')
    return _Clause(only, frozenset(protocols), tuple(kinds), frozenset(names))


def without_suites(tls: TlsEvidence, goes: Callable[[Protocol, AcceptedSuite], bool]) -> TlsEvidence:
    """The evidence without suites; a protocol that has none left is not negotiated any more."""
    protocols = {}
    for protocol, attempt in tls.protocols.items():
        if attempt.value is not None:
            suites = tuple(suite for suite in attempt.value.suites if not goes(protocol, suite))
            protocols[protocol] = replace(attempt, value=replace(attempt.value, suites=suites))
        else:
            protocols[protocol] = attempt
    return replace(tls, protocols=protocols)


def without_groups(tls: TlsEvidence, gone: frozenset[str]) -> TlsEvidence:
    """The evidence without groups."""
    if not gone:
        return tls
    groups = {
        protocol: attempt if attempt.value is None else replace(attempt, value=tuple(_kept(attempt.value, gone)))
        for protocol, attempt in tls.groups.items()
    }
    return replace(tls, groups=groups)


def _kept(names: Iterable[str], gone: frozenset[str]) -> Iterable[str]:
    return (name for name in names if name not in gone)


def as_the_policy_wants(facts: Facts, policy: Policy) -> TlsEvidence | None:
    """The TLS of a target without what its policy would have taken away; None where there is no TLS.

    A rule that the server fails as a whole is asked of each suite, or group, alone: what fails it then goes. Notes
    (`info`) demand nothing.

    Raises:
        PolicyError: the policy names a rule or a parameter that does not exist.
    """
    tls = facts.evidence.tls.value
    if tls is None:
        return None
    failing = [rule for rule in bind(policy) if rule.severity is not Severity.INFO and _fails(rule, facts, tls)]
    of_suites = [rule for rule in failing if rule.rule.id.startswith(_DEMANDING_OF_SUITES)]
    of_groups = [rule for rule in failing if rule.rule.id.startswith(_DEMANDING_OF_GROUPS)]

    def goes(protocol: Protocol, suite: AcceptedSuite) -> bool:
        alone = _with_one_suite(tls, protocol, suite)
        return any(_fails(rule, facts, alone) for rule in of_suites)

    every = {name for attempt in tls.groups.values() for name in attempt.value or ()}
    gone = {name for name in every if any(_fails(rule, facts, _with_one_group(tls, name)) for rule in of_groups)}
    return without_groups(without_suites(tls, goes), frozenset(gone))


def _fails(rule: BoundRule, facts: Facts, tls: TlsEvidence) -> bool:
    changed = structs.replace(facts, evidence=dataclasses.replace(facts.evidence, tls=Attempt.ok(tls)))
    return any(verdict.status is Status.FAIL for verdict in judge(rule, changed))


def _with_one_suite(tls: TlsEvidence, protocol: Protocol, suite: AcceptedSuite) -> TlsEvidence:
    protocols = {item: Attempt.ok(ProtocolOffer((suite,) if item is protocol else ())) for item in Protocol}
    return replace(tls, protocols=protocols)


def _with_one_group(tls: TlsEvidence, group: str) -> TlsEvidence:
    alone: Attempt[tuple[str, ...]] = Attempt.ok((group,))
    groups = {item: alone for item, found in tls.groups.items() if group in (found.value or ())}
    kept = without_suites(tls, lambda _, suite: suite.group not in {None, group})
    return replace(kept, groups=groups)
