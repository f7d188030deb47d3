"""The certificates that were shown in the plain handshakes up to TLS 1.2, with what came along with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scanner.evidence import Attempt, Deployment, Failure, FailureReason, Protocol
from scanner.probe.deployments import deployment_of
from scanner.probe.survey_answer import Answer


def deployments(
    named: Iterable[Answer], nameless: Answer | None, stores: Sequence[str]
) -> Attempt[tuple[Deployment, ...]]:
    """One deployment for each chain that was shown: under the name asked for, and to a client that named none.

    Fails where no certificate was shown, as in TLS 1.3, where it is encrypted, or where it cannot be read.
    """
    found: dict[tuple[tuple[bytes, ...], bool], list[Answer]] = {}
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
    chain: tuple[bytes, ...], answers: Sequence[Answer], stores: Sequence[str], *, with_sni: bool
) -> Deployment | Failure:
    newest = max(answers, key=lambda answer: list(Protocol).index(answer.protocol))
    return deployment_of(
        chain,
        stores,
        with_sni=with_sni,
        protocol=newest.protocol,
        staple=next((answer.staple for answer in answers if answer.staple), None),
        tls_scts=max(answer.scts for answer in answers),
    )
