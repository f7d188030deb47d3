"""What is wrong with a policy although every rule and parameter in it exists.

Names that nobody registered, demands that no server can meet together, and demands without an authority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from scanner.errors import Problem, nearest
from scanner.evidence import Protocol
from scanner.probe.iana import cipher_suites, groups, signature_schemes
from scanner.rules import bind
from scanner.rules.tls.groups import bits_of, has_mlkem, is_elliptic, is_finite_field
from scanner.rules.tls.suites import Suite, classify
from scanner.verdict import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import date

    from scanner.policy import Policy
    from scanner.rules import BoundRule

_REFUSED_BY: Final[Mapping[str, Callable[[Suite], bool]]] = {
    "cipher.no-null": lambda suite: suite.null,
    "cipher.no-anonymous": lambda suite: suite.anonymous,
    "cipher.no-export": lambda suite: suite.export,
    "cipher.no-rc4": lambda suite: suite.rc4,
    "cipher.no-64bit-block": lambda suite: suite.block_of_64_bits,
    "cipher.forward-secrecy": lambda suite: not suite.ephemeral,
}
"""Rules that fail on suites of a kind; those that depend on parameters are added where these are known."""


class PolicyCheck(Struct, frozen=True):
    """What was found: `errors` make the policy impossible to meet, `warnings` are in vain or without authority."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check_policy(policy: Policy, today: date) -> PolicyCheck:
    """Look for names, contradictions and missing sources, as the policy stands on a day.

    Raises:
        PolicyError: it names a rule or a parameter that does not exist, or a value that a parameter does not take.
    """
    bound = {item.rule.id: item for item in bind(policy)}
    demands = _Demands(bound, today)
    # What contradicts what cannot be told of names that mean nothing.
    return PolicyCheck(
        errors=tuple(_unknown_names(bound)) or tuple(demands.errors()),
        warnings=(*demands.warnings(), *_without_source(policy)),
    )


def _key(rule_id: str, parameter: str = "") -> str:
    return f'rules."{rule_id}".parameters.{parameter}' if parameter else f'rules."{rule_id}"'


def _unknown_names(bound: Mapping[str, BoundRule]) -> Iterator[Problem]:
    """Suites, groups and schemes that the IANA never registered: no server can be seen to accept them."""
    suites = {item.name for item in cipher_suites().values()}
    named_groups = {item.name for item in groups().values()}
    schemes = {item.name for item in signature_schemes().values()}
    for rule_id, parameters, known, kind in (
        ("cipher.allowed", ("suites", "dated", "phase_out"), suites, "cipher suite"),
        ("cipher.server-preference", ("indifferent",), suites, "cipher suite"),
        ("kex.allowed-groups", ("groups", "by_protocol", "dated", "any_of", "phase_out"), named_groups, "group"),
        ("integrity.signature-algorithms", ("allowed", "phase_out"), schemes, "signature scheme"),
    ):
        if rule_id not in bound:
            continue
        values = bound[rule_id].parameters.model_dump(mode="json")
        for parameter in parameters:
            for name in sorted(set(_names(values[parameter])) - known):
                message = f'there is no {kind} "{name}" in the registry of the IANA'
                yield Problem(_key(rule_id, parameter), message, nearest(name, known))


def _names(value: Any) -> Iterator[str]:
    """The names in a parameter: a list, lists by protocol, or dated entries that hold lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in {"until", "protocols"}:
                yield from _names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)
    elif isinstance(value, str):
        yield value


def _without_source(policy: Policy) -> Iterator[Problem]:
    without = [rule.id for rule in policy.rules.values() if not rule.sources]
    if without:
        hint = "the rule's own sources are shown instead; name the clause that requires it"
        yield Problem("rules", f"{len(without)} of {len(policy.rules)} have no source: {_some(without)}", hint)


class _Demands:
    """The demands of a policy on protocols, suites and groups, and where they exclude each other."""

    def __init__(self, bound: Mapping[str, BoundRule], today: date) -> None:
        self._bound = bound
        self._today = today
        self._forbidden = {protocol for protocol in Protocol if self._forbids(protocol)}
        self._demanded = {
            protocol
            for protocol in (Protocol.TLS1_2, Protocol.TLS1_3)
            if (item := bound.get(f"proto.{protocol}")) and item.severity is not Severity.INFO
        }
        self._suites = self._listed_suites()

    def _forbids(self, protocol: Protocol) -> bool:
        item = self._bound.get(f"proto.no-{protocol}")
        if item is None:
            return False
        values = item.parameters.model_dump()
        since = values.get("since")
        return bool(values.get("demanded", True)) and (since is None or since <= self._today)

    def _listed_suites(self) -> dict[Protocol, tuple[Suite, ...]] | None:
        item = self._bound.get("cipher.allowed")
        if item is None:
            return None
        values = item.parameters.model_dump()
        dated = [name for entry in values["dated"] if self._today <= entry["until"] for name in entry["suites"]]
        return {
            protocol: tuple(
                suite
                for name in (*names, *dated)
                # A dated suite counts in each protocol that has it.
                if (suite := classify(name)) and (name in names or suite.tls13 == (protocol is Protocol.TLS1_3))
            )
            for protocol, names in values["suites"].items()
        }

    def errors(self) -> Iterator[Problem]:
        yield from self._protocol_errors()
        yield from self._suite_errors()
        yield from self._group_errors()
        if expiry := self._bound.get("cert.expiry"):
            values = expiry.parameters.model_dump()
            if values["urgent_days"] > values["days"]:
                message = f"should be at most days ({values['days']}), not {values['urgent_days']}"
                yield Problem(_key("cert.expiry", "urgent_days"), message)

    def warnings(self) -> Iterator[Problem]:
        for protocol, suites in (self._suites or {}).items():
            if protocol in self._forbidden and suites:
                message = f"lists suites for {protocol}, which proto.no-{protocol} forbids"
                yield Problem(_key("cipher.allowed", f"suites.{protocol}"), message)
            for rule_id, names in self._refused(suites).items():
                message = f"lists {_some(names)}, on which {rule_id} fails"
                yield Problem(_key("cipher.allowed", f"suites.{protocol}"), message)
        if "kex.min-dh-bits" in self._bound and self._suites is not None:
            listed = [suite for suites in self._suites.values() for suite in suites]
            if not any(suite.finite_field for suite in listed) and not self._finite_field_groups():
                message = "never applies where the policy is met: cipher.allowed lists no DHE suite"
                yield Problem(_key("kex.min-dh-bits"), message)
        for rule_id, kind, small, large in self._groups_by_size():
            if small and large:
                message = f"fails on the {kind} {_some(small)}, which kex.allowed-groups allows"
                yield Problem(_key(rule_id, "bits"), message)

    def _protocol_errors(self) -> Iterator[Problem]:
        for protocol in sorted(self._demanded & self._forbidden):
            yield Problem(_key(f"proto.{protocol}"), f"is required, but proto.no-{protocol} forbids it")
        if self._suites is None:
            return
        for protocol in sorted(self._demanded - self._forbidden):
            if not self._suites.get(protocol):
                message = f"allows no suite in {protocol}, which proto.{protocol} demands"
                yield Problem(_key("cipher.allowed", "suites"), message)
        usable = {protocol for protocol, suites in self._suites.items() if suites} - self._forbidden
        if not usable:
            yield Problem(_key("cipher.allowed", "suites"), "allows suites only in protocols that the policy forbids")

    def _suite_errors(self) -> Iterator[Problem]:
        for protocol, suites in (self._suites or {}).items():
            for suite in suites:
                if suite.tls13 != (protocol is Protocol.TLS1_3):
                    message = f"{suite.name} is not a cipher suite of {protocol}"
                    yield Problem(_key("cipher.allowed", f"suites.{protocol}"), message)
                elif suite.aead and protocol < Protocol.TLS1_2:
                    message = f"{suite.name} needs TLS 1.2"
                    yield Problem(_key("cipher.allowed", f"suites.{protocol}"), message)
            refused = {name for names in self._refused(suites).values() for name in names}
            if suites and protocol in self._demanded and refused == {suite.name for suite in suites}:
                rules = ", ".join(self._refused(suites))
                message = f"allows in {protocol} only suites on which {rules} fails, and proto.{protocol} demands it"
                yield Problem(_key("cipher.allowed", f"suites.{protocol}"), message)

    def _refused(self, suites: Iterable[Suite]) -> dict[str, list[str]]:
        """The suites on which other rules of the policy fail, by rule."""
        refused_by = dict(_REFUSED_BY)
        if (aead := self._bound.get("integrity.aead")) and aead.parameters.model_dump()["every"]:
            refused_by["integrity.aead"] = lambda suite: not suite.aead
        if mac := self._bound.get("integrity.no-weak-mac"):
            weak = {"MD5", "SHA"} if mac.parameters.model_dump()["sha1"] else {"MD5"}
            refused_by["integrity.no-weak-mac"] = lambda suite: suite.mac in weak
        found = {
            rule_id: [suite.name for suite in suites if refuses(suite)]
            for rule_id, refuses in refused_by.items()
            if rule_id in self._bound
        }
        return {rule_id: names for rule_id, names in found.items() if names}

    def _listed_groups(self) -> set[str]:
        """Groups that may be accepted, those that are phased out included."""
        values = self._bound["kex.allowed-groups"].parameters.model_dump(mode="json")
        current = [entry for entry in values["dated"] if self._today.isoformat() <= entry["until"]]
        return set(_names([values["groups"], values["by_protocol"], current, values["phase_out"]]))

    def _finite_field_groups(self) -> bool:
        return "kex.allowed-groups" in self._bound and any(map(is_finite_field, self._listed_groups()))

    def _group_errors(self) -> Iterator[Problem]:
        allowed = self._bound.get("kex.allowed-groups")
        if allowed is None:
            return
        listed = self._listed_groups()
        any_of = set(allowed.parameters.model_dump()["any_of"])
        if any_of and not any_of & listed:
            message = f"demands one of {_some(sorted(any_of))}, and none of them is allowed"
            yield Problem(_key("kex.allowed-groups", "any_of"), message)
        hybrid = self._bound.get("kex.post-quantum")
        if hybrid and hybrid.severity is not Severity.INFO and not any(map(has_mlkem, listed)):
            yield Problem(_key("kex.post-quantum"), "is demanded, and kex.allowed-groups allows no group with ML-KEM")
        for rule_id, kind, small, large in self._groups_by_size():
            if small and not large:
                message = f"forbids every {kind} that kex.allowed-groups allows"
                yield Problem(_key(rule_id, "bits"), message)

    def _groups_by_size(self) -> Iterator[tuple[str, str, list[str], list[str]]]:
        """The allowed groups of each kind that are below the smallest size, and those that are not."""
        kinds = (("kex.min-dh-bits", "finite-field group", is_finite_field), ("kex.min-ec-bits", "curve", is_elliptic))
        for rule_id, kind, of_kind in kinds:
            if rule_id in self._bound and "kex.allowed-groups" in self._bound:
                least = self._bound[rule_id].parameters.model_dump()["bits"]
                named = sorted(filter(of_kind, self._listed_groups()))
                sizes = {name: bits for name in named if (bits := bits_of(name)) is not None}
                small = [name for name, bits in sizes.items() if bits < least]
                yield rule_id, kind, small, [name for name in sizes if name not in small]


_SHOWN: Final = 3


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
