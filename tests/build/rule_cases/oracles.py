"""Attacks that no hello shows, and conditions of attacks."""

from __future__ import annotations

from scanner.evidence import AcceptedSuite, Attempt, FailureReason, Protocol, ProtocolOffer
from tests.build.facts import NO, TIMED_OUT, YES
from tests.build.rule_cases.case import of_tls

_CBC = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
_DHE = "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
_RSA = "TLS_RSA_WITH_AES_128_GCM_SHA256"
_NONE: Attempt[tuple[str, ...]] = Attempt.ok(())
_FLAPS: Attempt[tuple[str, ...]] = Attempt.failed(FailureReason.INCONSISTENT)


def _offers(*names: str) -> dict[Protocol, Attempt[ProtocolOffer]]:
    offered = {protocol: Attempt.ok(ProtocolOffer()) for protocol in Protocol}
    return offered | {Protocol.TLS1_2: Attempt.ok(ProtocolOffer(tuple(map(AcceptedSuite, names))))}


_NOBODY = {**_offers(_RSA), Protocol.TLS1_1: TIMED_OUT}

CASES = (
    of_tls("vuln.padding-oracle", "not-vulnerable", protocols=_offers(_CBC), padding_oracle=_NONE),
    of_tls("vuln.padding-oracle", "no-cbc", protocols=_offers(_DHE)),
    of_tls("vuln.padding-oracle", "vulnerable", protocols=_offers(_CBC), padding_oracle=Attempt.ok(("wrong padding",))),
    of_tls("vuln.padding-oracle", "not-observed", protocols=_offers(_CBC), padding_oracle=_FLAPS),
    of_tls("vuln.padding-oracle", "not-observed", protocols=_NOBODY),
    of_tls("kex.fresh-keys", "fresh", protocols=_offers(_DHE, _CBC), reused_keys=_NONE),
    of_tls("kex.fresh-keys", "reused", protocols=_offers(_DHE, _CBC), reused_keys=Attempt.ok(("ECDHE",))),
    of_tls("kex.fresh-keys", "no-exchange", protocols=_offers(_RSA)),
    of_tls("kex.fresh-keys", "not-observed", protocols=_offers(_CBC), reused_keys=TIMED_OUT),
    of_tls("kex.fresh-keys", "not-observed", protocols=_NOBODY),
    of_tls("vuln.raccoon", "not-vulnerable", protocols=_offers(_DHE, _CBC), reused_keys=Attempt.ok(("ECDHE",))),
    of_tls("vuln.raccoon", "conditions-met", protocols=_offers(_DHE), reused_keys=Attempt.ok(("DHE",))),
    of_tls("vuln.raccoon", "no-exchange", protocols=_offers(_CBC), reused_keys=TIMED_OUT),
    of_tls("vuln.raccoon", "not-observed", protocols=_offers(_DHE), reused_keys=TIMED_OUT),
    of_tls("vuln.lucky13", "no-cbc", protocols=_offers(_DHE)),
    of_tls("vuln.lucky13", "encrypt-then-mac", protocols=_offers(_CBC), encrypt_then_mac=YES),
    of_tls("vuln.lucky13", "cbc", protocols=_offers(_CBC), encrypt_then_mac=NO),
    of_tls("vuln.lucky13", "cbc", protocols=_offers(_CBC), encrypt_then_mac=Attempt.failed(FailureReason.UNSUPPORTED)),
    of_tls("vuln.lucky13", "not-observed", protocols=_offers(_CBC), encrypt_then_mac=TIMED_OUT),
    of_tls("vuln.lucky13", "not-observed", protocols=_NOBODY, encrypt_then_mac=YES),
)
