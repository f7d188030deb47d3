"""Runs to rows and back: the only place that knows which field of a record stands in which column."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct, structs

from scanner.evidence import (
    Certificate,
    Deployment,
    Failure,
    FailureReason,
    TargetEvidence,
    from_json,
)
from scanner.history.facts import deployments_of, digest, facts_of
from scanner.history.schema import CERTIFICATES, EVIDENCE, RUNS, TARGETS, TEXT, TEXTS, VERDICTS, Table
from scanner.history.verdict_counts import counted
from scanner.inventory import DomainKey, EnvironmentKind, Role, StartTls
from scanner.standpoint import NotCovered, Uncovered, Vantage
from scanner.verdict import (
    AbsentDomain,
    AppliedWaiver,
    Goal,
    PolicyRef,
    Run,
    RunRecord,
    Severity,
    Status,
    TargetResult,
    TargetStatus,
    Trigger,
    Verdict,
    count,
)

Row = dict[str, Any]


class Writing(Struct, frozen=True):
    """One attempt to write a run: its own id, when it began, and its place among the runs that were written."""

    write_id: str
    written_at: datetime
    sequence: int = 0


_AT_ONCE: Final = 200
"""Of how many targets the rows are in memory at once."""


def rows_of(record: RunRecord, writing: Writing) -> Iterator[tuple[Table, Iterator[pa.Table]]]:
    """The rows of each table for one run, some targets at a time, in the order in which they must be written."""
    digests = dict[str, str]()

    def of_each(table: Table, rows: Callable[[TargetResult, int], Iterable[Row]]) -> Iterator[pa.Table]:
        for first, targets in _batches(record):
            made = (row for place, target in enumerate(targets, first) for row in rows(target, place))
            yield _filled(table, record, writing, made)

    yield TARGETS, of_each(TARGETS, lambda target, place: [_target_row(place, target, _digest_of(target, digests))])
    yield CERTIFICATES, of_each(CERTIFICATES, lambda target, _: _certificate_rows(target))
    yield VERDICTS, (_verdict_table(record.run, targets, writing) for _, targets in _batches(record))
    yield EVIDENCE, of_each(EVIDENCE, lambda target, _: _evidence_rows(target, digests))
    yield RUNS, iter([pa.Table.from_pylist([_run_row(record) | structs.asdict(writing)], RUNS.arrow)])


def _batches(record: RunRecord) -> Iterator[tuple[int, Sequence[TargetResult]]]:
    """Targets, some at a time, with the place of the first."""
    for first in range(0, len(record.targets), _AT_ONCE):
        yield first, record.targets[first : first + _AT_ONCE]


def _digest_of(target: TargetResult, known: dict[str, str]) -> str | None:
    """The digest of the facts at a target, made once: two tables have it."""
    if target.id not in known and (data := target.evidence_json) is not None:
        known[target.id] = digest(facts_of(data))
    return known.get(target.id)


def record_of(run: Row, targets: Iterable[Row], verdicts: pa.Table, evidence: Mapping[str, str | bytes]) -> RunRecord:
    """The record that the rows of one run came from. Evidence that is no longer kept is None."""
    by_target = _verdicts_by_target(verdicts)
    ordered = sorted(targets, key=lambda row: row["position"])
    return RunRecord(
        _run_from(run),
        tuple(
            _target_from(row, by_target.get(row["target_id"], ()), evidence.get(row["target_id"])) for row in ordered
        ),
    )


def month_of(moment: datetime) -> str:
    """The partition that a run of that moment falls into."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def _filled(table: Table, record: RunRecord, writing: Writing, rows: Iterable[Row]) -> pa.Table:
    head = _head(record.run, writing)
    return pa.Table.from_pylist([head | row for row in rows], table.arrow)


def _head(run: Run, writing: Writing) -> Row:
    return {
        "write_id": writing.write_id,
        "written_at": writing.written_at,
        "run_month": month_of(run.started_at),
        "run_id": run.id,
        "run_started_at": run.started_at,
    }


def _place(target: TargetResult) -> Row:
    return {"target_id": target.id, "environment": target.environment}


def _policy_row(policy: PolicyRef) -> Row:
    return {
        "policy_id": policy.id,
        "policy_version": policy.version,
        "policy_title": policy.title,
        "policy_digest": policy.digest,
    }


def _policy_from(row: Row) -> PolicyRef:
    return PolicyRef(row["policy_id"], row["policy_version"], row["policy_title"], row["policy_digest"])


def _run_row(record: RunRecord) -> Row:
    run = record.run
    counts = count(verdict for target in record.targets for verdict in target.verdicts)
    statuses = Counter(target.status for target in record.targets)
    return {
        "run_id": run.id,
        "trigger": run.trigger,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "complete": run.complete,
        "expected_targets": run.expected_targets,
        "environments": list(run.environments),
        "schedule": run.schedule,
        **_policy_row(run.policy),
        "policies": json.dumps({name: dataclasses.asdict(policy) for name, policy in run.policies.items()}),
        "config_digest": run.config_digest,
        "trust_stores": json.dumps(dict(run.trust_stores)),
        "tool_version": run.tool_version,
        "engines": json.dumps(dict(run.engines)),
        "targets": len(record.targets),
        **{status.value: statuses[status] for status in TargetStatus},
        **structs.asdict(counts),
        "absent_domains": json.dumps([dataclasses.asdict(domain) for domain in run.absent_domains]),
        "vantage": json.dumps(dataclasses.asdict(run.vantage)) if run.vantage else None,
        "not_covered": json.dumps([dataclasses.asdict(item) for item in run.not_covered]),
        "not_covered_total": run.not_covered_total,
        "verdict_counts": counted(record),
    }


def _run_from(row: Row) -> Run:
    return Run(
        id=row["run_id"],
        trigger=Trigger(row["trigger"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        policy=_policy_from(row),
        complete=row["complete"],
        expected_targets=row["expected_targets"],
        tool_version=row["tool_version"],
        policies={name: PolicyRef(**policy) for name, policy in json.loads(row["policies"]).items()},
        environments=tuple(row["environments"]),
        schedule=row["schedule"],
        config_digest=row["config_digest"],
        trust_stores=json.loads(row["trust_stores"]),
        engines=json.loads(row["engines"]),
        absent_domains=tuple(map(_absent_from, json.loads(row["absent_domains"] or "[]"))),
        vantage=_vantage_from(json.loads(row["vantage"])) if row["vantage"] else None,
        not_covered=tuple(
            NotCovered(**{**item, "reason": Uncovered(item["reason"])})
            for item in json.loads(row["not_covered"] or "[]")
        ),
        not_covered_total=row["not_covered_total"] or 0,
    )


def _vantage_from(values: Row) -> Vantage:
    listed = {key: tuple(values[key]) for key in ("addresses", "networks", "resolvers")}
    return Vantage(name=values["name"], proxy=values["proxy"], **listed)


def _absent_from(values: Row) -> AbsentDomain:
    failure = values["failure"]
    return AbsentDomain(
        **{
            **values,
            "named_by": DomainKey(values["named_by"]),
            "failure": Failure(FailureReason(failure["reason"]), failure["detail"]),
        }
    )


def _target_row(position: int, target: TargetResult, facts_digest: str | None) -> Row:
    return _place(target) | {
        "position": position,
        "environment_kind": target.environment_kind,
        "host": target.host,
        "port": target.port,
        "ip": target.ip,
        "role": target.role,
        "applications": list(target.applications),
        "starttls": target.starttls,
        "http_port": target.http_port,
        "status": target.status,
        "error_reason": target.error.reason if target.error else None,
        "error_detail": target.error.detail if target.error else None,
        **_policy_row(target.policy),
        "grade": target.grade,
        "duration_s": target.duration_s,
        "connections": target.connections,
        "facts_digest": facts_digest,
        "implied_by": target.implied_by,
    }


def _target_from(row: Row, verdicts: Sequence[Verdict], evidence: str | bytes | None) -> TargetResult:
    observed: TargetEvidence | None = from_json(evidence) if evidence is not None else None
    return TargetResult(
        id=row["target_id"],
        environment=row["environment"],
        environment_kind=EnvironmentKind(row["environment_kind"]) if row["environment_kind"] else None,
        host=row["host"],
        port=row["port"],
        ip=row["ip"],
        role=Role(row["role"]),
        status=TargetStatus(row["status"]),
        policy=_policy_from(row),
        applications=tuple(row["applications"]),
        starttls=StartTls(row["starttls"]) if row["starttls"] else None,
        http_port=row["http_port"],
        error=Failure(FailureReason(row["error_reason"]), row["error_detail"]) if row["error_reason"] else None,
        duration_s=row["duration_s"],
        connections=row["connections"],
        evidence=observed,
        verdicts=tuple(verdicts),
        grade=row["grade"],
        implied_by=DomainKey(row["implied_by"]) if row["implied_by"] else None,
    )


def _certificate_rows(target: TargetResult) -> Iterator[Row]:
    place = _place(target) | {"host": target.host, "port": target.port, "ip": target.ip}
    seen: set[str] = set()
    for deployment in deployments_of(target):
        for index, certificate in enumerate(deployment.chain):
            if certificate.fingerprint not in seen:
                seen.add(certificate.fingerprint)
                yield place | _certificate_row(certificate, deployment, index)


def _evidence_rows(target: TargetResult, digests: dict[str, str]) -> Iterator[Row]:
    evidence, data = target.evidence, target.evidence_json
    if evidence is not None:
        yield _place(target) | {
            "started_at": evidence.started_at,
            "facts_digest": _digest_of(target, digests),
            "evidence": data,
        }


def _certificate_row(certificate: Certificate, deployment: Deployment, index: int) -> Row:
    leaf = index == 0
    paths = deployment.paths if leaf else ()
    return {
        "position": "leaf" if leaf else "intermediate",
        "chain_index": index,
        "fingerprint": certificate.fingerprint,
        "spki": certificate.spki,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "key_type": certificate.key_type,
        "key_bits": certificate.key_bits,
        "curve": certificate.curve,
        "signature_algorithm": certificate.signature_algorithm,
        "signature_hash": certificate.signature_hash,
        "dns_names": list(certificate.dns_names),
        "ip_addresses": list(certificate.ip_addresses),
        "is_ca": certificate.is_ca,
        "self_signed": certificate.self_signed,
        "must_staple": certificate.must_staple,
        "trusted": any(path.trusted for path in paths) if paths else None,
        "publicly_trusted": deployment.publicly_trusted if leaf else None,
    }


def _verdict_table(run: Run, targets: Sequence[TargetResult], writing: Writing) -> pa.Table:
    """As columns rather than rows: there are a hundred times more verdicts than of anything else."""
    verdicts = [verdict for target in targets for verdict in target.verdicts]
    waivers = [verdict.waiver for verdict in verdicts]
    columns: dict[str, list[Any]] = {
        "target_id": [target.id for target in targets for _ in target.verdicts],
        "environment": [target.environment for target in targets for _ in target.verdicts],
        "position": [place for target in targets for place in range(len(target.verdicts))],
        **{
            name: list(map(attrgetter(name), verdicts))
            for name in ("rule", "subject", "goal", "status", "severity", "reason", "message", "observed", "expected")
        },
        "waived": [waiver is not None for waiver in waivers],
        "waiver_reason": [waiver.reason if waiver else None for waiver in waivers],
        "waiver_owner": [waiver.owner if waiver else None for waiver in waivers],
        "waiver_expires": [waiver.expires if waiver else None for waiver in waivers],
    }
    head = _head(run, writing)
    schema = VERDICTS.arrow

    def array(name: str, kind: pa.DataType) -> pa.Array:
        if name in head:
            return pa.repeat(pa.scalar(head[name], kind), len(verdicts))
        return _lists([verdict.sources for verdict in verdicts]) if kind == TEXTS else pa.array(columns[name], kind)

    arrays = [array(name, kind) for name, kind in zip(schema.names, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _lists(values: Sequence[Sequence[str]]) -> pa.Array:
    """Lists of text as Arrow holds them: all texts in one array, and where each list begins."""
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(list(chain.from_iterable(values)), TEXT), type=TEXTS)


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """The column as a list, fast: of values that repeat, each is made once."""
    if pa.types.is_list(column.type):
        return [item for chunk in column.chunks for item in _plain_lists(chunk)]
    if not pa.types.is_dictionary(column.type):
        return list(column.to_pylist())
    return [item for chunk in column.chunks for item in _taken(chunk)]


def _taken(chunk: pa.DictionaryArray) -> list[Any]:
    # One more than there are: the index -1 stands for null.
    values = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
    return list(values[chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)])


def _plain_lists(chunk: pa.ListArray) -> Iterator[tuple[str, ...]]:
    texts = _taken(chunk.flatten().cast(TEXT).dictionary_encode())
    ends = np.cumsum(pc.list_value_length(chunk).to_numpy(zero_copy_only=False)).tolist()
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for start, end in zip([0, *ends], ends, strict=False):
        texts_here = tuple(texts[start:end])
        yield known.setdefault(texts_here, texts_here)


_OF_VERDICT = (
    "rule", "goal", "status", "severity", "reason", "message", "observed", "expected", "subject", "sources",
    "waived", "waiver_reason", "waiver_owner", "waiver_expires",
)  # fmt: skip


def _verdicts_by_target(table: pa.Table) -> dict[str, list[Verdict]]:
    """The verdicts of each target in order. Equal ones are the same object: of half a million few are different."""
    places, targets = _plain(table.column("position")), _plain(table.column("target_id"))
    rows = list(zip(*(_plain(table.column(name)) for name in _OF_VERDICT), strict=True))
    known: dict[tuple[Any, ...], Verdict] = {}
    grouped: dict[str, list[Verdict]] = {}
    # Compaction may have changed the order of rows.
    for index in sorted(range(len(rows)), key=places.__getitem__):
        row = rows[index]
        verdict = known.get(row)
        if verdict is None:
            verdict = known[row] = _verdict_from(row)
        grouped.setdefault(targets[index], []).append(verdict)
    return grouped


def _verdict_from(row: tuple[Any, ...]) -> Verdict:
    values = dict(zip(_OF_VERDICT, row, strict=True))
    waived, *waiver = (values.pop(name) for name in ("waived", "waiver_reason", "waiver_owner", "waiver_expires"))
    return Verdict(
        goal=Goal(values.pop("goal")),
        status=Status(values.pop("status")),
        severity=Severity(values.pop("severity")),
        waiver=AppliedWaiver(*waiver) if waived else None,
        **values,
    )
