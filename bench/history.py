"""How fast and how small the history is: nights of many verdicts, written, counted, asked and read back.

    python bench/history.py [--nights 10] [--targets 10000] [--rules 60] [--folder FOLDER]

Prints one line per measurement. Nothing is checked; the tests do that.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scanner.evidence import Attempt, TargetEvidence
from scanner.history import History, maintenance, questions
from scanner.verdict import Goal, RunRecord, Severity, Status, TargetResult, Verdict
from tests.build.records import FIRST_NIGHT, sample_record

T = TypeVar("T")
_FAILING = 0.04
_CHANGING = 0.002


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took, and the greatest memory so far."""
    before = time.perf_counter()
    yield
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<58} {time.perf_counter() - before:8.2f} s   peak {memory:6.0f} MB", flush=True)


def night(number: int, targets: int, rules: int) -> RunRecord:
    """A run of many targets, each like one of the samples, of which a few change from night to night."""
    sample = sample_record(0)
    shapes = [target for target in sample.targets if target.evidence is not None]
    started = FIRST_NIGHT + timedelta(days=number)
    run = dataclasses.replace(
        sample.run,
        id=f"{started:%Y%m%dT%H%M%SZ}-{number:06x}",
        started_at=started,
        finished_at=started + timedelta(hours=1),
        expected_targets=targets,
    )
    return RunRecord(run, tuple(target(shapes[index % len(shapes)], index, number, rules) for index in range(targets)))


def target(shape: TargetResult, index: int, number: int, rules: int) -> TargetResult:
    """One target with one verdict per rule. What fails is the same every night, but for a few."""
    steady, tonight = random.Random(index), random.Random(f"{index} {number}")  # noqa: S311  # no secret
    host = f"host{index:05}.example.com"
    verdicts = tuple(
        verdict(rule, fails=(steady.random() < _FAILING) != (tonight.random() < _CHANGING)) for rule in range(rules)
    )
    if shape.evidence is None:
        raise AssertionError
    evidence = dataclasses.replace(
        own_certificate(shape.evidence, steady),
        started_at=FIRST_NIGHT + timedelta(days=number, milliseconds=tonight.randrange(3_600_000)),
        duration_s=round(tonight.random(), 4),
        connections=tonight.randrange(30, 60),
    )
    ip = f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}"
    return dataclasses.replace(
        shape,
        id=f"{shape.environment}/{host}:443@{ip}",
        host=host,
        ip=ip,
        evidence=evidence,
        verdicts=verdicts,
    )


def own_certificate(evidence: TargetEvidence, chance: random.Random) -> TargetEvidence:
    """The evidence with a leaf that no other target has, of a usual size, so that nothing compresses too well."""
    tls = evidence.tls.value
    deployments = tls.certificates.value if tls else None
    if tls is None or not deployments:
        return evidence
    first = deployments[0]
    der = chance.randbytes(1100)
    leaf = dataclasses.replace(first.leaf, der=der, fingerprint=hashlib.sha256(der).hexdigest(), spki=der[:32].hex())
    deployment = dataclasses.replace(first, chain=(leaf, *first.chain[1:]))
    return dataclasses.replace(
        evidence, tls=Attempt.ok(dataclasses.replace(tls, certificates=Attempt.ok((deployment, *deployments[1:]))))
    )


def verdict(rule: int, *, fails: bool) -> Verdict:
    """One verdict with sentences of the usual length."""
    status = Status.FAIL if fails else Status.INDETERMINATE if rule == 1 else Status.PASS
    return Verdict(
        rule=f"area{rule % 7}.rule-{rule}",
        goal=list(Goal)[rule % 4],
        status=status,
        severity=list(Severity)[rule % 5],
        reason="offered" if fails else "not-offered",
        message=f"Rule {rule} finds that the server {'accepts' if fails else 'refuses'} what it is asked about here.",
        observed="TLS_RSA_WITH_3DES_EDE_CBC_SHA" if fails else "nothing of the kind",
        expected="nothing of the kind",
        sources=("RFC 8996 section 5", "RFC 9325 section 3.1.1"),
    )


def measured(what: str, question: Callable[[], T]) -> T:
    """Time one question."""
    with timed(what):
        return question()


def size(folder: Path) -> str:
    """The bytes in each table, in MB."""
    tables = sorted(item for item in folder.iterdir() if item.is_dir())
    sizes = {table.name: sum(file.stat().st_size for file in table.rglob("*") if file.is_file()) for table in tables}
    return ", ".join(f"{name} {value / 1e6:.2f} MB" for name, value in sizes.items())


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--rules", type=int, default=60)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="history-"))
    history = History.open(folder, create=True)
    print(f"{options.nights} nights of {options.targets} targets and {options.rules} rules in {folder}")
    total = 0.0
    for number in range(options.nights):
        record = night(number, options.targets, options.rules)
        before = time.perf_counter()
        history.append(record)
        total += time.perf_counter() - before
    print(f"{'append, all nights':<58} {total:8.2f} s")
    print(size(folder))
    measured("count by goal, environment, status over all nights", lambda: questions.trend(history))
    measured("failing since", lambda: questions.failing_since(history))
    measured("mean time to fix", lambda: questions.mean_time_to_fix(history))
    measured("certificates by expiry", lambda: questions.certificates_by_expiry(history))
    measured("coverage", lambda: questions.coverage(history))
    measured("verdicts of all nights as a DataFrame", history.verdicts)
    latest = history.latest() or ""
    measured("one run's verdicts as a DataFrame", lambda: history.verdicts([latest]))
    measured("one run as a record, without evidence", lambda: history.record(latest, evidence=False))
    measured("one run as a record, whole", lambda: history.record(latest))
    measured("maintenance", lambda: maintenance.maintain(history))
    print(size(folder))


if __name__ == "__main__":
    main()
