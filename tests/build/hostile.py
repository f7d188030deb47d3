"""A run over hosts that put into every text what could break a report."""

from __future__ import annotations

import dataclasses
from datetime import date

from scanner.evidence import Attempt
from scanner.untrusted import printable
from scanner.verdict import AppliedWaiver, RunRecord, Status, TargetResult
from tests.build.judged import judged_record

MARKUP = '<script>alert(1)</script><img src=x onerror="alert(2)"></style>{{ 7 * 7 }}{% raw %}'
LONG = "a" * 5000
TEXTS = (
    MARKUP,
    LONG,
    "=cmd|' /C calc'!A1",
    "\x1b[31mred\x1b]8;;https://evil.example\x07",
    "\u202egnp.exe",
    "\x00\ud800",
)
"""What a host may say, before it is made printable."""


def hostile_record() -> RunRecord:
    """The sample run in which every failing verdict and every certificate says something hostile.

    All of it has passed `printable`, as everything from a host has; markup and formulas are still in it.
    """
    record = judged_record(4).record
    texts = [printable(text, 600) for text in TEXTS]
    targets = []
    for number, target in enumerate(record.targets):
        text = texts[number % len(texts)]
        verdicts = tuple(
            dataclasses.replace(
                verdict,
                observed=text,
                message=text,
                subject=f"{verdict.subject}{text}"[:200] if verdict.subject else "",
            )
            if verdict.status in {Status.FAIL, Status.INDETERMINATE}
            else verdict
            for verdict in target.verdicts
        )
        targets.append(dataclasses.replace(_with_names(target, text), verdicts=verdicts))
    return dataclasses.replace(record, targets=tuple(targets))


def configured_record() -> RunRecord:
    """The sample run with waivers and applications in which the configuration says what no host can say.

    What stands in a configuration is not made printable: it may hold control characters, and be long.
    """
    record = judged_record(4).record
    text = "=1+1\x1b[31m\x00\u202e<b>&" + "w" * 40_000
    waiver = AppliedWaiver(text, "@owner\x07", date(2026, 10, 31))
    targets = [
        dataclasses.replace(
            target,
            applications=(text[:60],) if target.applications else (),
            verdicts=tuple(
                dataclasses.replace(item, waiver=waiver) if item.waiver is not None else item
                for item in target.verdicts
            ),
        )
        for target in record.targets
    ]
    return dataclasses.replace(record, targets=tuple(targets))


def _with_names(target: TargetResult, text: str) -> TargetResult:
    if target.evidence is None or target.evidence.tls.value is None:
        return target
    tls = target.evidence.tls.value
    deployments = tuple(
        dataclasses.replace(
            item,
            chain=(
                dataclasses.replace(item.leaf, subject=f"CN={text}", issuer=f"CN={text},O={text}", dns_names=(text,)),
                *item.chain[1:],
            ),
        )
        for item in tls.certificates.value or ()
    )
    tls = dataclasses.replace(tls, certificates=Attempt.ok(deployments))
    return dataclasses.replace(target, evidence=dataclasses.replace(target.evidence, tls=Attempt.ok(tls)))
