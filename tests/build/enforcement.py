"""Observes configured applications for real, and judges what was seen by the default policy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from scanner import policy
from scanner.evaluate import evaluate
from scanner.evidence import TargetEvidence
from scanner.inventory import Address, Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.http.probe import probe_http
from scanner.probe.survey.probe import survey
from scanner.rules import Observed
from scanner.verdict import Severity, Status, Verdict
from tests.build.at_once import absent_domains

Verdicts = Mapping[str, tuple[Verdict, ...]]


def observe(environments: Sequence[Environment], connect_to: Mapping[str, Sequence[str]]) -> list[Observed]:
    """Survey every target and ask it over HTTP; sslyze is left out, as enforcement does not need it."""
    settings = ProbeSettings(
        timeout_s=8, deadline_s=60, connect_to={name: tuple(addresses) for name, addresses in connect_to.items()}
    )
    scope = frozenset(endpoint.host for environment in environments for endpoint in environment.endpoints)

    async def one(target: Target, environment: Environment) -> Observed:
        (tls, first), (http, second) = await asyncio.gather(
            survey(target, settings), probe_http(target, environment, settings, scope)
        )
        return Observed(target, TargetEvidence(datetime.now(UTC), 1.0, first + second, tls=tls, http=http))

    async def every() -> list[Observed]:
        return [await one(target, environment) for target, environment in _targets(environments, connect_to)]

    return asyncio.run(every())


def _targets(
    environments: Sequence[Environment], connect_to: Mapping[str, Sequence[str]]
) -> list[tuple[Target, Environment]]:
    targets = []
    for environment in environments:
        for endpoint in (item for item in environment.endpoints if not item.is_file):
            secure = connect_to[f"{endpoint.host}:{endpoint.port}"]
            plain = connect_to[f"{endpoint.host}:{endpoint.http_port}"]
            for tls_address, http_address in zip(secure, plain, strict=True):
                ip, _, port = tls_address.rpartition(":")
                address = Address(ip, int(port), int(http_address.rpartition(":")[2]))
                targets.append((Target(endpoint, address), environment))
    return targets


def judge(environments: Sequence[Environment], observed: Sequence[Observed]) -> Verdicts:
    """Verdicts by target id."""
    by_name = {environment.name: environment for environment in environments}
    default = policy.load("https-by-default")
    _, present = absent_domains(observed, by_name)
    return evaluate(present, by_name, dict.fromkeys(by_name, default), (), datetime.now(UTC))


def name(verdict: Verdict) -> str:
    """Rule and subject in one."""
    return f"{verdict.rule} {verdict.subject}".strip()


def wrong(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The reason of every verdict on enforcement that is neither a pass nor not applicable.

    Fitness for the preload list is left out: it is judged for information, and repeats what https.redirect says.
    """
    return {
        name(verdict): verdict.reason
        for verdict in verdicts
        if verdict.rule.startswith("https.")
        and verdict.severity is not Severity.INFO
        and verdict.status in {Status.FAIL, Status.INDETERMINATE}
    }
