"""Real server programs, as Debian has them: what Nightseal sees of each, beside what others see.

The others are sslyze, sslscan, openssl and gnutls-cli.

Eight of them are part of `make test`; all of them are started by `make test-servers`. Where two programs differ, the
cause is in `differences.toml`.
"""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from pathlib import Path

import pytest

from scanner.evaluate import evaluate
from scanner.evidence import Protocol, Robot, TargetEvidence, TlsEvidence
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Role, StartTls, Target
from scanner.pipeline import probe_targets
from scanner.policy import load
from scanner.probe import ProbeSettings
from scanner.rules import Observed
from scanner.verdict import Verdict
from tests.build import peers
from tests.build.exclusions import excluding_pairs
from tests.build.programs import PROGRAMS, Program, start
from tests.build.servers import HOST, servers

ENVIRONMENT = Environment("servers", EnvironmentKind.ON_PREMISES)
SETTINGS = ProbeSettings(timeout_s=5, deadline_s=60)
ROUNDS = 5
PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
DIFFERENCES = tomllib.loads((Path(__file__).parent / "differences.toml").read_text()).get("difference", [])
COLUMNS = 7
EACH = [pytest.param(item, id=item.name, marks=[] if item.quick else [pytest.mark.servers]) for item in PROGRAMS]


def target_of(item: Program, port: int) -> Target:
    endpoint = Endpoint(
        "servers",
        HOST,
        port,
        role=Role.APPLICATION if item.speaks_http and not item.starttls else Role.SERVER,
        starttls=StartTls(item.starttls) if item.starttls else None,
    )
    return Target(endpoint, Address("127.0.0.1", port, 1))


def scanned(target: Target, settings: ProbeSettings) -> TargetEvidence:
    async def scan() -> TargetEvidence:
        (evidence,) = [seen async for _, seen in probe_targets([target], {"servers": ENVIRONMENT}, settings)]
        return evidence

    return asyncio.run(scan())


def facts_of(tls: TlsEvidence) -> dict[str, object]:
    """What Nightseal saw, under the names of `tests.build.peers`."""
    facts: dict[str, object] = {}
    for protocol in Protocol:
        offer = tls.offer(protocol).value
        facts[f"{protocol} negotiated"] = offer is not None and offer.negotiated
        if offer is not None and offer.negotiated:
            facts[f"suites of {protocol}"] = frozenset(suite.name for suite in offer.suites if not suite.unconfirmed)
    facts["newest"] = tls.negotiated[-1].value if tls.negotiated else None
    facts["Heartbleed"] = tls.heartbleed.value
    if tls.robot.value is not None:
        facts["ROBOT"] = tls.robot.value in {Robot.WEAK_ORACLE, Robot.STRONG_ORACLE}
    facts["certificate"] = {item.leaf.fingerprint for item in tls.certificates.value or ()}
    return facts


def unlike(ours: dict[str, object], theirs: peers.Seen) -> dict[str, str]:
    """The facts that differ, with what both saw."""
    found = {}
    for name, value in theirs.facts.items():
        mine = ours.get(name)
        if isinstance(value, frozenset):
            known = mine if isinstance(mine, frozenset) else frozenset()
            if value != known:
                found[name] = f"alone here: {sorted(known - value)}, alone there: {sorted(value - known)}"
        elif value != mine and not (isinstance(mine, set) and value in mine):
            found[name] = f"here: {mine}, there: {value}"
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("item", EACH)
def test_a_server_program_is_seen_as_others_see_it(tmp_path, item):
    with servers(tmp_path) as started:
        port = start(item, started)
        evidence = scanned(target_of(item, port), SETTINGS)
        assert evidence.tls.value is not None, evidence.tls.failure
        ours = facts_of(evidence.tls.value)
        others = {"openssl": peers.openssl(port, item.starttls), "gnutls-cli": peers.gnutls(port, item.starttls)}
        others["sslyze"] = peers.sslyze(port, item.starttls)
        others["sslscan"] = peers.sslscan(port, item.starttls, tmp_path)
    assert others["openssl"].facts, "openssl made no handshake"
    for tool in ("sslscan", "sslyze"):
        assert others[tool].facts, f"{tool} saw nothing"
    met = {(tool, fact): told for tool, seen in others.items() for fact, told in unlike(ours, seen).items()}
    listed = {(one["tool"], one["fact"]) for one in DIFFERENCES if item.name in one["programs"]}
    compared = sum(len(seen.facts) for seen in others.values())
    _keep(item, evidence, compared, len(met))
    assert {key: told for key, told in met.items() if key not in listed} == {}
    assert excluding_pairs(_verdicts(target_of(item, port), evidence)) == []
    assert listed - set(met) == set(), "a difference that is listed is none any more"


def _keep(item: Program, evidence: TargetEvidence, compared: int, different: int) -> None:
    """A line of the table of programs, where one is wanted."""
    table = os.environ.get("NIGHTSEAL_SERVERS_TABLE")
    if table:
        row = {
            "program": item.name,
            "stack": item.stack,
            "facts": compared,
            "different": different,
            "connections": evidence.connections,
            "seconds": evidence.duration_s,
        }
        with Path(table).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def test_the_page_has_each_program_and_where_others_differ_from_it():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines() if "|" in line]
    told = {
        row[0]: (row[1], int(row[2]) - int(row[3]), int(row[4] or 0))
        for row in rows
        if len(row) == COLUMNS and row[2].isdigit()
    }
    listed = {item.name: sum(item.name in one["programs"] for one in DIFFERENCES) for item in PROGRAMS}
    assert told == {item.name: (item.stack, listed[item.name], listed[item.name]) for item in PROGRAMS}


@pytest.mark.rounds
@pytest.mark.timeout(900)
@pytest.mark.parametrize("item", [pytest.param(item, id=item.name) for item in PROGRAMS])
def test_no_verdict_on_a_program_changes_over_five_rounds(tmp_path, item):
    with servers(tmp_path) as started:
        target = target_of(item, start(item, started))
        rounds = [_statuses(target, scanned(target, SETTINGS)) for _ in range(ROUNDS)]
    changed = {
        key: [one.get(key) for one in rounds]
        for key in {key for one in rounds for key in one}
        if len({one.get(key) for one in rounds}) > 1
    }
    assert changed == {}


def _statuses(target: Target, evidence: TargetEvidence) -> dict[tuple[str, str], str]:
    return {(item.rule, item.subject): item.status.value for item in _verdicts(target, evidence)}


def _verdicts(target: Target, evidence: TargetEvidence) -> tuple[Verdict, ...]:
    policy = load("https-by-default")
    return evaluate(
        [Observed(target, evidence)], {"servers": ENVIRONMENT}, {"servers": policy}, (), evidence.started_at
    )[target.id]
