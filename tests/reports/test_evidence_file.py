"""A run judged again by a third party: from the file alone, without history, configuration or network."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from msgspec import structs

from reports.export.json.v1 import to_json
from reports.verification import verify_pdf
from scanner import policy
from scanner.app.cli import main
from scanner.app.handlers.verify_replay import replayed
from scanner.errors import UsageError
from scanner.evaluate import evaluate
from scanner.inventory import Application, ApplicationKind, ClientCertificate, Endpoint
from scanner.jobs.evidence_file import judge_again, read_evidence_file, to_evidence_file
from scanner.jobs.output import Rendering, render
from scanner.jobs.reporting import owned
from scanner.ownership import Ownership
from scanner.rules import Observed
from scanner.waiver import Waiver
from tests.build.judged import WAIVERS, Judged, judged_record
from tests.build.once import once


def rendering(judged: Judged) -> Rendering:
    """As a report has it: judged at the time at which the run ended."""
    run = dataclasses.replace(judged.record.run, finished_at=judged.record.run.started_at)
    return Rendering(
        dataclasses.replace(judged.record, run=run),
        policies=tuple(judged.policies.values()),
        environments=tuple(judged.environments.values()),
        waivers=WAIVERS,
    )


@pytest.fixture(scope="module")
def data() -> bytes:
    return to_evidence_file(rendering(judged_record(4)))


def test_gives_the_same_verdicts(data: bytes) -> None:
    found = judge_again(read_evidence_file(data))
    assert found.differences == ()
    assert found.compared == len(judged_record(4).record.verdicts)
    assert found.not_judgeable == 0


def test_hosts_of_other_environments_are_in_no_environments_evidence() -> None:
    judged = judged_record(4)
    known = frozenset({"secret.elsewhere.example", "shop.example.com", "www.shop.example.com"})
    environments = {name: dataclasses.replace(item, known_hosts=known) for name, item in judged.environments.items()}
    made = to_evidence_file(rendering(dataclasses.replace(judged, environments=environments)))

    assert b"secret.elsewhere.example" not in made
    found = read_evidence_file(made)
    of_shop = next(
        item.environments[name].known_hosts for item in [found] for name in item.environments if "prod" in name
    )
    assert of_shop is not None
    assert of_shop >= {"shop.example.com"}, "what its own certificates name is judged by"


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_the_evidence_of_an_owner_names_no_hosts_of_others(*, before: bool) -> None:
    """Nor do the waivers in it; what is judged at the first endpoint of all is not judged again where that is another's."""
    judged = judged_record(4)
    mine = next(item for item in judged.record.targets if item.host == "shop.example.com")
    other = Endpoint(
        mine.environment, "zweitens.example", 443, applications=(Application("Zweitens", ApplicationKind.PWA),)
    )
    own = judged.environments[mine.environment]
    grown = dataclasses.replace(own, endpoints=(other, *own.endpoints) if before else (*own.endpoints, other))
    expires = date(2030, 1, 1)
    waivers = tuple(
        Waiver("cert.weak-key", scope, f"reason of {scope}", "somebody", expires)
        for scope in ("*/zweitens.example", f"{mine.environment}/zweitens.example:443", "*/*.example.com")
    )
    whole = structs.replace(
        rendering(dataclasses.replace(judged, environments={**judged.environments, mine.environment: grown})),
        owners={mine.endpoint: Ownership("me"), other.id: Ownership("others")},
        waivers=waivers,
    )

    assert b"zweitens.example" in to_evidence_file(whole)
    made = to_evidence_file(owned(whole, "me", ()))
    assert b"zweitens" not in made.lower()
    file = read_evidence_file(made)
    assert [item.scope for item in file.waivers] == ["*/*.example.com"]
    assert judge_again(file).differences == ()
    not_judged = {item.not_judgeable for item in file.targets}
    assert not_judged == {("inventory.expected-count",) if before else ()}


def test_what_was_seen_through_a_proxy_is_at_its_name_and_judged_alike() -> None:
    """A proxy resolves names itself, so no address is recorded; verdicts are of the same evidence all the same."""
    judged = judged_record(4)
    targets = tuple(
        dataclasses.replace(item, id=f"{item.endpoint}@{item.host}", ip=None)
        if item.host == "erp.example.internal"
        else item
        for item in judged.record.targets
    )
    seen = dataclasses.replace(judged, record=dataclasses.replace(judged.record, targets=targets))

    file = read_evidence_file(to_evidence_file(rendering(seen)))

    named = [item.target for item in file.targets if item.target.endpoint.host == "erp.example.internal"]
    assert [item.id.rpartition("@")[2] for item in named] == ["erp.example.internal"] * len(named) != []
    assert file.lost == ()
    assert judge_again(file).differences == ()


@pytest.mark.parametrize("name", ["pci-dss-4.0.1", "nist-sp800-52r2"])
def test_policies_travel_with_it(name: str) -> None:
    file = read_evidence_file(to_evidence_file(rendering(judged_record(4, name))))
    assert {item.digest for item in file.policies.values()} == {policy.load(name).digest}
    assert judge_again(file).differences == ()


def test_by_another_policy(data: bytes) -> None:
    found = judge_again(read_evidence_file(data), policy.load("mozilla-modern"))
    assert any(item.now and item.now.counted_as == "not-met" for item in found.differences)


def test_no_folder_of_the_scanner_is_in_what_rules_say(data: bytes) -> None:
    """Where a file of CAs lies says something of the scanner's machine, and nothing of the certificate."""
    moved = data.replace(b'"store":"mozilla"', b'"store":"/var/lib/scan-x1/ca.pem"')
    assert moved != data
    file = read_evidence_file(moved)
    observed = [Observed(item.target, item.evidence) for item in file.targets]
    found = evaluate(observed, file.environments, file.policies, file.waivers, file.judged_at)
    said = [
        f"{verdict.message} {verdict.observed} {verdict.expected}"
        for verdicts in found.values()
        for verdict in verdicts
    ]
    assert any("ca.pem" in text for text in said)
    assert not any("/var/lib" in text for text in said)


def changed(data: bytes, change: Callable[[dict], object]) -> bytes:
    document = json.loads(data)
    change(document)
    return json.dumps(document).encode()


def a_verdict(document: dict) -> None:
    target = next(item for item in document["targets"] if any(one["status"] == "fail" for one in item["verdicts"]))
    next(one for one in target["verdicts"] if one["status"] == "fail")["status"] = "pass"


def some_evidence(document: dict) -> None:
    for target in document["targets"]:
        tls = target["evidence"].get("tls", {}).get("value") or {}
        for deployment in tls.get("certificates", {}).get("value", ()):
            deployment["chain"][0]["not_after"] = "2020-01-01T00:00:00Z"


@pytest.mark.parametrize("change", [a_verdict, some_evidence])
def test_what_was_changed_comes_out_otherwise(data: bytes, change: Callable[[dict], None]) -> None:
    assert judge_again(read_evidence_file(changed(data, change))).differences


def a_parameter(document: dict) -> None:
    next(iter(document["policies"].values()))["rules"]["cert.expiry"]["severity"] = "info"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (a_parameter, "does not match its SHA-256"),
        (lambda document: document.update(schema="nightseal.report/1"), "not nightseal.evidence/1"),
        (lambda document: document.pop("targets"), "not nightseal.evidence/1"),
    ],
)
def test_what_is_no_evidence_is_refused(data: bytes, change: Callable[[dict], object], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read_evidence_file(changed(data, change))


def test_without_the_configuration_what_rests_on_it_is_left_out_and_said() -> None:
    file = read_evidence_file(to_evidence_file(structs.replace(rendering(judged_record(4)), environments=None)))
    found = judge_again(file)
    assert found.differences == ()
    assert found.not_judgeable > 0


def test_holds_nothing_that_no_rule_reads() -> None:
    judged = judged_record(4)
    whose = Ownership("team", "pager@example.com")
    key = ClientCertificate(Path("/etc/secret.pem"), Path("/etc/secret.key"))
    environments = {}
    for name, item in judged.environments.items():
        endpoints = tuple(
            dataclasses.replace(
                endpoint,
                ownership=whose,
                applications=tuple(
                    dataclasses.replace(one, ownership=whose, client_certificate=key) for one in endpoint.applications
                ),
            )
            for endpoint in item.endpoints
        )
        environments[name] = dataclasses.replace(item, ownership=whose, endpoints=endpoints)
    data = to_evidence_file(rendering(dataclasses.replace(judged, environments=environments)))
    assert b"/etc/secret" not in data
    assert b"pager@" not in data
    assert judge_again(read_evidence_file(data)).differences == ()


def drawn(folders: pytest.TempPathFactory) -> bytes:
    """The report of that run on paper, drawn by the first who asks."""
    return once(folders, "paper", lambda _: render(rendering(judged_record(4)), "pdf"))


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return drawn(tmp_path_factory)


def test_the_paper_carries_it(paper: bytes) -> None:
    """Out of the PDF alone, by what verifies it."""
    found = verify_pdf(paper)
    assert found.problems == ()
    assert found.evidence == to_evidence_file(rendering(judged_record(4)))
    told, problems = replayed(found.evidence, found.report, None)
    assert problems == []
    assert told[-1].endswith("the same verdicts")
    other = to_evidence_file(rendering(judged_record(1)))
    assert "the evidence is of run" in replayed(other, found.report, None)[1][0]


class TestCommand:
    @pytest.fixture
    def verify(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[object, str, str]]:
        def call(data: bytes, *more: str) -> tuple[object, str, str]:
            file = tmp_path / "run.evidence.json"
            file.write_bytes(data)
            with pytest.raises(SystemExit) as ended:
                main(["verify", str(file), "--replay", *more])
            said = capsys.readouterr()
            return ended.value.code, said.out, said.err

        return call

    def test_verify_judges_the_file_again(self, data: bytes, verify: Callable[..., tuple[object, str, str]]) -> None:
        status, out, _ = verify(data)
        assert status == 0
        assert "by https-by-default" in out
        assert "the same verdicts" in out

    def test_the_paper_alone_is_enough(
        self, paper: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a folder that has nothing else, on a machine that reaches nobody."""

        def unreachable(*_: object) -> None:
            raise AssertionError

        (tmp_path / "report.pdf").write_bytes(paper)
        monkeypatch.chdir(tmp_path)
        for name in ("connect", "connect_ex", "sendto"):
            monkeypatch.setattr(socket.socket, name, unreachable)
        monkeypatch.setattr(socket, "getaddrinfo", unreachable)
        with pytest.raises(SystemExit) as ended:
            main(["verify", "report.pdf", "--replay"])
        said = capsys.readouterr().out
        assert ended.value.code == 1, "nobody has signed it"
        assert "Unsigned: the data are complete" in said
        assert re.search(r"^Outcome +the same verdicts$", said, re.MULTILINE)
        assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]

    def test_a_changed_verdict_is_told(self, data: bytes, verify: Callable[..., tuple[object, str, str]]) -> None:
        status, out, err = verify(changed(data, a_verdict))
        assert status == 1
        assert "other verdicts" in out
        assert re.search(r"Problem: .*: met \(.* then, (not-met|note|waived) \(", err), err

    def test_another_policy_is_no_fault(self, data: bytes, verify: Callable[..., tuple[object, str, str]]) -> None:
        status, out, _ = verify(data, "--policy", "mozilla-modern")
        assert status == 0
        assert "→ not-met" in out
        assert re.search(r"^Replayed +\d+ verdicts of \d+ targets, by mozilla-modern ", out, re.MULTILINE)
        listed = [text for text in out.splitlines() if text.startswith("  ") and " then, " in text]
        assert listed
        assert not any("not judged" in text for text in listed), "that is counted"

    def test_a_report_that_carries_no_evidence_says_where_it_is(
        self, verify: Callable[..., tuple[object, str, str]]
    ) -> None:
        status, _, err = verify(to_json(judged_record(4).record).encode())
        assert status == 2
        assert "run.evidence.json: not nightseal.evidence/1 but a report" in err
        assert "replay the PDF of the run, or what nightseal report --format evidence writes" in err

    def test_json_is_no_signed_report(self, data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "run.json").write_bytes(data)
        with pytest.raises(SystemExit) as ended:
            main(["verify", str(tmp_path / "run.json")])
        assert ended.value.code == 2
        assert "it is not a PDF, and only a PDF is signed" in capsys.readouterr().err
