"""When a failure that a waiver accepts has become worse, by what servers are really observed to do."""

from __future__ import annotations

import dataclasses

import pytest

from scanner.history.waived import is_worse
from scanner.verdict import Status
from tests.build.records import sample_record

ACCEPTED = next(
    verdict for target in sample_record(1).targets for verdict in target.verdicts if verdict.status is Status.FAIL
)
RC4, CBC = "TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"


@pytest.mark.parametrize(
    ("rule", "before", "after", "worse"),
    [
        # Each version has a rule of its own: another one that is switched on is that rule's.
        ("proto.no-tls1.1", "tls1.1, tls1.2, tls1.3", "tls1.0, tls1.1, tls1.2, tls1.3", False),
        ("proto.no-tls1.1", "tls1.1, tls1.2", "tls1.1, tls1.2, tls1.3", False),
        ("cipher.forward-secrecy", CBC, f"{CBC}, {RC4}", True),
        ("cipher.forward-secrecy", f"{CBC}, {RC4}", CBC, False),
        ("kex.min-dh-bits", "1024 bits (ffdhe)", "512 bits (ffdhe)", True),
        ("kex.min-dh-bits", "512 bits (ffdhe)", "1024 bits (ffdhe)", False),
        ("cert.key", "rsa of 2048 bits, rsa of 1024 bits", "rsa of 2048 bits, rsa of 512 bits", True),
        ("cert.expiry", "ends on 2026-03-30, 12 days left", "ends on 2026-03-30, 11 days left", False),
    ],
)
def test_only_what_the_rule_judges_makes_it_worse(rule: str, before: str, after: str, *, worse: bool) -> None:
    accepted = dataclasses.replace(ACCEPTED, rule=rule, observed=before)

    assert is_worse(dataclasses.replace(accepted, observed=after), accepted) is worse
