"""Turns what the survey was answered into evidence: names for code points, and one fact from many answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from msgspec import Struct, field
from tlslite.constants import ExtensionType  # type: ignore[import-untyped]  # it ships no types

from scanner.evidence import (
    AcceptedSuite,
    Attempt,
    ClientAuthentication,
    Deployment,
    Failure,
    FailureReason,
    NameReaction,
    Protocol,
    ProtocolOffer,
    Robot,
    TlsEvidence,
    not_run,
)
from scanner.probe import iana
from scanner.probe.survey.baseline import Baseline
from scanner.probe.survey.deployments import deployments
from scanner.probe.survey.full_handshake import Handshake
from scanner.probe.survey.key_exchange import GroupsAndSchemes
from scanner.probe.survey.offers import ApplicationProtocols, Enumeration
from scanner.probe.survey.primes import Modulus, is_generator, known_primes, moduli_of
from scanner.probe.survey.server_flight import HelloResult, ServerFlight

T = TypeVar("T")

_OLDEST_FIRST: Final = tuple(Protocol)
_ONLY_TLS13: Final = "no protocol before TLS 1.3 is negotiated"


class SurveyResults(Struct):
    """All that one survey has been answered; filled in as its questions end."""

    baseline: Baseline
    alpn: ApplicationProtocols
    found: dict[Protocol, Enumeration] = field(default_factory=dict)
    order: dict[Protocol, bool | None] = field(default_factory=dict)
    chacha20_first: dict[Protocol, bool | None] = field(default_factory=dict)
    exchanges: dict[Protocol, GroupsAndSchemes] = field(default_factory=dict)
    schemes13: Attempt[tuple[int, ...]] | None = None
    fallback: Attempt[bool] = field(default_factory=not_run)
    without_sni: Attempt[NameReaction] = field(default_factory=not_run)
    wrong_sni: Attempt[NameReaction] = field(default_factory=not_run)
    no_name: HelloResult | None = None
    wrong_name: HelloResult | None = None
    handshake: Handshake | Failure | None = None

    @property
    def nameless(self) -> ServerFlight | None:
        """What was answered to a hello without a name."""
        return self.no_name if isinstance(self.no_name, ServerFlight) else None

    @property
    def inconsistency(self) -> Failure | None:
        """What shows that there is more than one server, or one that answers by chance: nothing is refused for sure."""
        return next((item.inconsistency for item in self.in_order if item.inconsistency is not None), None)

    @property
    def in_order(self) -> tuple[Enumeration, ...]:
        """What was found, oldest protocol first."""
        return tuple([self.found[protocol] for protocol in _OLDEST_FIRST if protocol in self.found])

    @property
    def older(self) -> tuple[ServerFlight, ...]:
        """Every answer of SSL 3.0 to TLS 1.2."""
        apart = {Protocol.SSL2, Protocol.TLS1_3}
        return tuple(answer for found in self.in_order if found.protocol not in apart for answer in found.answers)


def survey_evidence(results: SurveyResults, stores: Sequence[str]) -> TlsEvidence:
    """Write down what was gathered; `stores` are the trust stores to which paths are looked for."""
    moduli = _moduli(results)
    return TlsEvidence(
        protocols={found.protocol: _offer(results, found, moduli) for found in results.in_order},
        groups=_groups(results),
        signature_schemes=_schemes(results),
        certificates=_certificates(results, stores),
        alpn=_alpn(results),
        extended_master_secret=_of_tls(results, ExtensionType.extended_master_secret),
        encrypt_then_mac=_encrypt_then_mac(results),
        secure_renegotiation=_all_have(results, results.older, ExtensionType.renegotiation_info, _ONLY_TLS13),
        compression=_of_older(results, any(answer.compression for answer in results.older)),
        session_tickets=_unless_left_out(
            results,
            ExtensionType.session_ticket,
            _of_older(results, any(ExtensionType.session_ticket in answer.extensions for answer in results.older)),
        ),
        fallback_scsv=results.fallback,
        client_authentication=_client_authentication(results),
        robot=_robot(results),
        without_sni=results.without_sni,
        wrong_sni=results.wrong_sni,
        intolerances=Attempt.ok(results.baseline.intolerances),
    )


def _certificates(results: SurveyResults, stores: Sequence[str]) -> Attempt[tuple[Deployment, ...]]:
    if not results.older and isinstance(results.handshake, Handshake):
        shown = deployments((results.handshake.flight,), None, stores)
        return shown if shown.value is not None else Attempt(failure=results.handshake.failure or shown.failure)
    if not results.older and isinstance(results.handshake, Failure):
        return Attempt(failure=results.handshake)
    if not results.older:
        return Attempt(failure=_no_answer(results, "the certificate is encrypted in TLS 1.3"))
    shown = deployments(results.older, results.nameless, stores)
    return shown if shown.value is None else Attempt.partial(shown.value, _cut_off(results))


def _shows_key_exchange(code: int) -> bool:
    """Whether a server that chooses the suite goes on to show that it can do its key exchange.

    By RSA key transport or a pre-shared key nothing follows that would: a ServerHello alone is no acceptance there.
    """
    suite = iana.cipher_suites().get(code)
    return suite is None or not (suite.key_exchange == "RSA" or "PSK" in suite.key_exchange)


def _offer(results: SurveyResults, found: Enumeration, moduli: Mapping[int, Modulus]) -> Attempt[ProtocolOffer]:
    """The suites accepted, complete where the enumeration came to its end.

    The answer to the very first hello, which offered everything, counts as well: what it accepted is accepted.
    """
    answers, first = list(found.answers), results.baseline.answer
    failure = found.failure or results.inconsistency
    unconfirmed = set(found.unconfirmed)
    if first is not None and first.protocol is found.protocol and first.suite not in found.suites:
        answers.insert(0, first)
        if not _shows_key_exchange(first.suite):
            unconfirmed.add(first.suite)
        failure = failure or Failure.of(
            FailureReason.INCONSISTENT,
            f"{_suite_name(first.protocol, first.suite)}: accepted at first, refused when it was offered again",
        )
    weaker = {answer.suite: answer for answer in found.other_keys}
    suites = tuple(
        replace(
            _suite(found.protocol, suite, _smaller(answer, weaker.get(suite, answer)), moduli),
            unconfirmed=suite in unconfirmed,
        )
        for answer in answers
        for suite in answer.suites
    )
    offer = ProtocolOffer(
        suites, results.order.get(found.protocol), chacha20_first=results.chacha20_first.get(found.protocol)
    )
    return Attempt.until(failure, offer, empty=not suites)


def _smaller(one: ServerFlight, other: ServerFlight) -> ServerFlight:
    """The answer with the smaller finite-field group, where both show one."""
    return min((one, other), key=lambda answer: (answer.dh_prime is None, answer.dh_prime or 0))


def _suite(protocol: Protocol, code: int, answer: ServerFlight, moduli: Mapping[int, Modulus]) -> AcceptedSuite:
    suite = AcceptedSuite(_suite_name(protocol, code), _group_name(answer), _ephemeral_bits(answer))
    modulus = moduli.get(answer.dh_prime) if answer.dh_prime is not None else None
    if answer.dh_prime is None or modulus is None:
        return suite
    return replace(
        suite,
        dh_prime=modulus.name,
        dh_modulus=modulus.hexadecimal,
        dh_safe=modulus.safe,
        dh_generator_valid=is_generator(answer.dh_generator or 0, answer.dh_prime),
    )


def _suite_name(protocol: Protocol, code: int) -> str:
    suite = (iana.ssl2_cipher_kinds() if protocol is Protocol.SSL2 else iana.cipher_suites()).get(code)
    return suite.name if suite is not None else f"0x{code:04X}"


def _group_name(answer: ServerFlight) -> str | None:
    if answer.dh_prime is not None:
        name = known_primes().get(answer.dh_prime, "")
        return name if name.startswith("ffdhe") else None
    if answer.group is None:
        return None
    group = iana.groups().get(answer.group)
    return group.name if group is not None else f"0x{answer.group:04x}"


def _ephemeral_bits(answer: ServerFlight) -> int | None:
    if answer.dh_prime is not None:
        return answer.dh_prime.bit_length()
    group = iana.groups().get(answer.group) if answer.group is not None else None
    return group.bits if group is not None else None


def _moduli(results: SurveyResults) -> Mapping[int, Modulus]:
    flights = (flight for found in results.in_order for flight in (*found.answers, *found.other_keys))
    return moduli_of(flight.dh_prime for flight in flights if flight.dh_prime is not None)


def _groups(results: SurveyResults) -> Mapping[Protocol, Attempt[tuple[str, ...]]]:
    names = {code: group.name for code, group in iana.groups().items()}
    doubt = results.inconsistency
    attempts = {protocol: _named(exchange.groups, names, doubt) for protocol, exchange in results.exchanges.items()}
    newest = results.found.get(Protocol.TLS1_3)
    if newest is not None and (newest.answers or newest.failure):
        cut_off = newest.failure or newest.groups_failure
        groups = Attempt.until(cut_off, tuple(newest.groups), empty=not newest.groups)
        attempts[Protocol.TLS1_3] = _named(groups, names, doubt)
    return attempts


def _schemes(results: SurveyResults) -> Mapping[Protocol, Attempt[tuple[str, ...]]]:
    names = {code: scheme.name for code, scheme in iana.signature_schemes().items()}
    attempts = {}
    if Protocol.TLS1_2 in results.exchanges:
        attempts[Protocol.TLS1_2] = _named(results.exchanges[Protocol.TLS1_2].schemes, names, results.inconsistency)
    newest = results.found.get(Protocol.TLS1_3)
    if results.schemes13 is not None:
        attempts[Protocol.TLS1_3] = _named(results.schemes13, names, results.inconsistency)
    elif newest is not None and newest.answers and newest.failure is not None:
        attempts[Protocol.TLS1_3] = Attempt(failure=newest.failure)
    return attempts


def _named(
    codes: Attempt[tuple[int, ...]], names: Mapping[int, str], doubt: Failure | None
) -> Attempt[tuple[str, ...]]:
    if codes.value is None:
        return Attempt(failure=codes.failure)
    named = tuple(names.get(code, f"0x{code:04x}") for code in codes.value)
    return Attempt.partial(named, codes.incomplete or doubt)


def _alpn(results: SurveyResults) -> Attempt[tuple[str, ...]]:
    """The application protocols, which are asked for along with the suites of TLS 1.2."""
    found = results.found.get(Protocol.TLS1_2)
    if not results.alpn.offered:
        return not_run()
    if found is None or not found.answers:
        return Attempt.failed(FailureReason.UNSUPPORTED, "without TLS 1.2 it is not shown in plain")
    # An answer that chose none ends the question; what broke off the suites leaves it open.
    return Attempt.partial(tuple(results.alpn.accepted), found.failure if results.alpn.left else None)


def _of_older(results: SurveyResults, value: T) -> Attempt[T]:
    """A fact that shows in every answer up to TLS 1.2, or why there was none."""
    if results.older:
        return Attempt.partial(value, _cut_off(results))
    return Attempt(failure=_no_answer(results, _ONLY_TLS13))


def _cut_off(results: SurveyResults) -> Failure | None:
    """What kept an older protocol from being looked at to its end: another answer might have shown something else."""
    older = (found for found in results.in_order if found.protocol not in {Protocol.SSL2, Protocol.TLS1_3})
    return next((found.failure for found in older if found.failure is not None), results.inconsistency)


def _no_answer(results: SurveyResults, why: str) -> Failure:
    failures = (found.failure for found in results.in_order if found.protocol is not Protocol.TLS1_3)
    return next(filter(None, failures), Failure.of(FailureReason.UNSUPPORTED, why))


def _of_tls(results: SurveyResults, extension: int) -> Attempt[bool]:
    tls = [answer for answer in results.older if answer.protocol is not Protocol.SSL3]
    return _all_have(results, tls, extension, "no protocol from TLS 1.0 to 1.2 is negotiated")


def _encrypt_then_mac(results: SurveyResults) -> Attempt[bool]:
    suites = iana.cipher_suites()
    blocks = [
        answer for answer in results.older if answer.protocol is not Protocol.SSL3 and suites[answer.suite].is_cbc
    ]
    return _all_have(results, blocks, ExtensionType.encrypt_then_mac, "no block cipher suite is accepted")


def _client_authentication(results: SurveyResults) -> Attempt[ClientAuthentication]:
    """Told by a handshake that was completed without a request for a certificate, and by no other."""
    made = results.handshake
    if not isinstance(made, Handshake) or made.failure is not None or made.asked:
        return not_run()
    return Attempt.ok(ClientAuthentication.NOT_ASKED)


def _robot(results: SurveyResults) -> Attempt[Robot]:
    """ROBOT is about keys sent under RSA: where no suite does that, it is no question. Else it has to be tested."""
    suites = iana.cipher_suites()
    older = [found for found in results.in_order if found.protocol not in {Protocol.SSL2, Protocol.TLS1_3}]
    if any(suites[code].key_exchange.startswith("RSA") for found in older for code in found.suites):
        return not_run()
    failure = _cut_off(results)
    return Attempt(failure=failure) if failure else Attempt.ok(Robot.RSA_NOT_OFFERED)


def _all_have(results: SurveyResults, answers: Sequence[ServerFlight], extension: int, why: str) -> Attempt[bool]:
    if not answers:
        return Attempt(failure=_no_answer(results, why))
    all_have = all(extension in answer.extensions for answer in answers)
    return _unless_left_out(results, extension, Attempt.partial(all_have, _cut_off(results)))


def _unless_left_out(results: SurveyResults, extension: int, shown: Attempt[bool]) -> Attempt[bool]:
    """What was `shown` of an extension; nothing was where a server does not stand hellos with it and was asked by none.

    Which of several extensions it is that it does not stand is not known.
    """
    if extension not in results.baseline.template.without or shown.value is None:
        return shown
    detail = "the server answers no hello that asks for it, or for others that it may not know"
    return Attempt.failed(FailureReason.UNSUPPORTED, detail)
