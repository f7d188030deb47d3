"""Runs over as many targets as wanted: what real servers answered, under other names and addresses, judged anew.

Each target is one of a real run again with its own host, address, certificate and key; all that it answered names the
new host where it named the old one. Nothing else is made up, and the verdicts are those of the rules.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from scanner.evaluate import evaluate
from scanner.evidence import Certificate, TargetEvidence
from scanner.inventory import Address, Endpoint, Environment, Target
from scanner.policy import Policy
from scanner.rules import Observed
from scanner.verdict import RunRecord, TargetResult
from tests.build.judged import Judged

_FIRST_ADDRESS = ipaddress.IPv4Address("10.0.0.0")


def many(real: Judged, count: int) -> Judged:
    """A run over `count` targets, in turn like those of `real` of which there is evidence."""
    shapes = [target for target in real.record.targets if target.evidence is not None]
    endpoints = {
        (environment.name, endpoint.host, endpoint.port): endpoint
        for environment in real.environments.values()
        for endpoint in environment.endpoints
    }
    copies = [
        _copy(shape, endpoints[shape.environment, shape.host, shape.port], number)
        for number, shape in zip(range(count), _again(shapes), strict=False)
    ]
    environments = {
        name: dataclasses.replace(
            environment,
            endpoints=tuple(item.target.endpoint for _, item in copies if item.target.endpoint.environment == name),
        )
        for name, environment in real.environments.items()
    }
    return Judged(_record(real.record, copies, environments, real.policies), environments, real.policies)


def _again(shapes: list[TargetResult]) -> Iterator[TargetResult]:
    while True:
        yield from shapes


def _copy(shape: TargetResult, endpoint: Endpoint, number: int) -> tuple[TargetResult, Observed]:
    label, _, rest = shape.host.partition(".")
    host, ip = f"{label}-{number:05}.{rest}", str(_FIRST_ADDRESS + number)
    assert shape.evidence is not None
    evidence: TargetEvidence = renamed(shape.evidence, shape.host, host)
    target = Target(dataclasses.replace(endpoint, host=host), Address(ip, shape.port, shape.http_port))
    result = dataclasses.replace(shape, id=target.id, host=host, ip=ip, evidence=evidence)
    return result, Observed(target, evidence)


def renamed(value: Any, old: str, new: str) -> Any:
    """The same evidence of another host; a server's own certificate is then another one, with another key."""
    if type(value) is str:
        return value.replace(old, new)
    if isinstance(value, tuple):
        return tuple(renamed(item, old, new) for item in value)
    if isinstance(value, Mapping):
        return {key: renamed(item, old, new) for key, item in value.items()}
    if isinstance(value, Certificate) and value.is_ca and not value.self_signed:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: renamed(getattr(value, field.name), old, new) for field in dataclasses.fields(value)}
        if isinstance(value, Certificate):
            fields |= {name: _digest(fields[name], new) for name in ("fingerprint", "spki")}
        return dataclasses.replace(value, **fields)
    return value


def _digest(value: str, host: str) -> str:
    return hashlib.sha256(f"{value} {host}".encode()).hexdigest()


def _record(
    real: RunRecord,
    copies: list[tuple[TargetResult, Observed]],
    environments: Mapping[str, Environment],
    policies: Mapping[str, Policy],
) -> RunRecord:
    verdicts = evaluate([item for _, item in copies], environments, policies, (), real.run.started_at)
    targets = tuple(dataclasses.replace(target, verdicts=verdicts[target.id]) for target, _ in copies)
    return RunRecord(dataclasses.replace(real.run, expected_targets=len(targets)), targets)
