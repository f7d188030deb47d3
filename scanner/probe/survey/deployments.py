"""The certificates that were shown in the plain handshakes up to TLS 1.2, with what came along with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scanner.evidence import Attempt, Deployment, Failure, FailureReason, Protocol
from scanner.probe import iana
from scanner.probe.survey.offers import Enumeration
from scanner.probe.survey.server_flight import ServerFlight
from scanner.probe.x509.chains import deployment_of, read_certificate


def deployments(
    named: Iterable[ServerFlight], nameless: ServerFlight | None, stores: Sequence[str]
) -> Attempt[tuple[Deployment, ...]]:
    """One deployment for each chain that was shown: under the name asked for, and to a client that named none.

    Fails where no certificate was shown, as in TLS 1.3, where it is encrypted, or where it cannot be read.
    """
    found: dict[tuple[tuple[bytes, ...], bool], list[ServerFlight]] = {}
    for answer in named:
        if answer.chain:
            found.setdefault((answer.chain, True), []).append(answer)
    if nameless is not None and nameless.chain and (nameless.chain, True) not in found:
        found[nameless.chain, False] = [nameless]
    if not found:
        return Attempt.failed(FailureReason.UNSUPPORTED, "no handshake showed a certificate in plain")
    result = []
    for (chain, with_sni), answers in found.items():
        deployment = _deployment(chain, answers, stores, with_sni=with_sni)
        if isinstance(deployment, Failure):
            return Attempt(failure=deployment)
        result.append(deployment)
    return Attempt.ok(tuple(result))


def _deployment(
    chain: tuple[bytes, ...], answers: Sequence[ServerFlight], stores: Sequence[str], *, with_sni: bool
) -> Deployment | Failure:
    newest = max(answers, key=lambda answer: list(Protocol).index(answer.protocol))
    logged = max(answers, key=lambda answer: answer.scts)
    return deployment_of(
        chain,
        stores,
        with_sni=with_sni,
        protocol=newest.protocol,
        staple=next((answer.staple for answer in answers if answer.staple), None),
        tls_scts=logged.scts,
        tls_sct_list=logged.sct_list,
    )


def likely_schemes(found: Enumeration) -> frozenset[int]:
    """The signature schemes of TLS 1.3 that go with the keys that were seen at work in an older protocol.

    An ECDSA key has one there, that of its curve (RFC 8446 section 4.2.3). Empty where no key was seen.
    """
    schemes, suites = iana.signature_schemes(), iana.cipher_suites()
    seen = {
        schemes[code] for code in {answer.scheme for answer in found.answers} if code is not None and code in schemes
    }
    kinds = {scheme.key for scheme in seen}
    if any(suites[code].key_exchange == "RSA" for code in found.suites):
        kinds.add("rsa")
    leaves = [read_certificate(chain[0]).value for chain in {answer.chain for answer in found.answers if answer.chain}]
    curves = [leaf.curve for leaf in leaves if leaf is not None and leaf.curve is not None]
    beginnings = {
        "ecdsa": tuple(f"ecdsa_{curve}" for curve in curves) or ("ecdsa_",),
        "rsa": tuple({"rsa_pss_rsae_", *("rsa_pss_pss_" for scheme in seen if scheme.name.startswith("rsa_pss_pss_"))}),
    }
    return frozenset(
        scheme.code
        for scheme in schemes.values()
        if scheme.key in kinds and scheme.name.startswith(beginnings.get(scheme.key, ""))
    )
