"""DANE and MTA-STS of a mail domain."""

from __future__ import annotations

import hashlib
from typing import Any

from scanner.evidence import Attempt, FailureReason, MailDomain, StsPolicy, Tlsa
from scanner.inventory import Role, StartTls
from tests.build.facts import HOST, NO, TIMED_OUT, YES, World, certificate, tls
from tests.build.rule_cases.case import Case

_OF_LEAF = Tlsa(3, 0, 1, hashlib.sha256(certificate().der).hexdigest())
_OTHER = Tlsa(3, 1, 1, "00" * 32)
_STS = ("v=STSv1; id=1",)


def _mail(*records: Tlsa, signed: Any = YES, **changes: Any) -> MailDomain:
    return MailDomain("example.com", 10, Attempt.ok(records), signed, **changes)


def _policy(mode: str = "enforce", *mx: str) -> dict[str, Any]:
    return {"sts_record": Attempt.ok(_STS), "sts_policy": Attempt.ok(StsPolicy(mode, 86_400, mx or (HOST,)))}


def _case(rule: str, reason: str, mail: Any, **world: Any) -> Case:
    return Case(
        f"mail.{rule}", reason, World(mail=mail, role=Role.SERVER, http_port=None, starttls=StartTls.SMTP, **world)
    )


CASES = (
    _case("dane", "matches", _mail(_OTHER, _OF_LEAF)),
    _case("dane", "missing", _mail()),
    _case("dane", "unsigned", _mail(_OF_LEAF, signed=NO)),
    _case("dane", "unusable", _mail(Tlsa(1, 1, 1, _OF_LEAF.data))),
    _case("dane", "mismatch", _mail(_OTHER)),
    _case("dane", "mismatch", _mail(Tlsa(3, 9, 1, _OF_LEAF.data))),
    _case("dane", "not-observed", _mail(_OF_LEAF, signed=TIMED_OUT)),
    _case("dane", "not-observed", _mail(_OF_LEAF), tls=tls(certificates=TIMED_OUT)),
    _case("dane", "not-observed", MailDomain("example.com", tlsa=TIMED_OUT)),
    _case("dane", "not-observed", TIMED_OUT),
    Case("mail.dane", "no-domain"),
    _case("mta-sts", "enforced", _mail(**_policy("enforce", "*.example.com"))),
    _case("mta-sts", "missing", _mail(sts_record=Attempt.ok(()))),
    _case("mta-sts", "several", _mail(sts_record=Attempt.ok(_STS * 2))),
    _case(
        "mta-sts",
        "no-policy",
        _mail(sts_record=Attempt.ok(_STS), sts_policy=Attempt.failed(FailureReason.HANDSHAKE_FAILED, "expired")),
    ),
    _case("mta-sts", "not-enforced", _mail(**_policy("testing"))),
    _case("mta-sts", "not-listed", _mail(**_policy("enforce", "*.deep.example.com"))),
    _case("mta-sts", "not-observed", _mail(sts_record=TIMED_OUT)),
    Case("mail.mta-sts", "no-domain"),
)
