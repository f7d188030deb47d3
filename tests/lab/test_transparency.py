"""SCTs of real logs, kept in memory: signed, forged, retired, of other certificates; verified and judged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest

from scanner.config.form_scan import ScanForm
from scanner.errors import LogListError
from scanner.evidence import (
    Attempt,
    Deployment,
    LogProgram,
    Protocol,
    SctCheck,
    SctSource,
    TargetEvidence,
    from_json,
    to_json,
)
from scanner.jobs.session import Overrides, probe_settings
from scanner.lab.ct_log import CtLog, extension, log_list, sct_list
from scanner.probe.authority.stage import AuthorityStage
from scanner.probe.x509.chains import deployment_of
from scanner.probe.x509.ct_logs import load_logs
from scanner.probe.x509.scts import verified
from tests.build.authority import START, Signed, certificate, der, key, pem
from tests.build.facts import tls
from tests.lab.test_revocation import verdicts

DAY = timedelta(days=1)
FIRST, SECOND, THIRD = CtLog("A", "first"), CtLog("B", "second"), CtLog("A", "third")
RETIRED = CtLog("B", "retired", "retired", START - DAY)
STRANGER = CtLog("C", "stranger")
LISTED = [FIRST, SECOND, THIRD, RETIRED]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    made = certificate("Root", ca=True, days=(-100, 3000))
    (tmp_path / "root.pem").write_bytes(pem(made.certificate))
    monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "root.pem"))
    return made


def issued(root: Signed, logs: list[CtLog], when: datetime = START - timedelta(hours=2), **changes: Any) -> Signed:
    """A leaf with an SCT of each log. The body that they sign is that of the same certificate without the list."""
    own, serial = key(), 4711
    days = changes.pop("days", (-1, 89))
    about = changes.pop("about", None)
    body = certificate("www", root, own_key=own, serial=serial, days=days).certificate.tbs_certificate_bytes
    signed = about or body
    scts = [
        log.sct(signed, changes.get("by", root).certificate, when, forged=log in changes.get("forged", ()))
        for log in logs
    ]
    return certificate("www", root, own_key=own, serial=serial, days=days, more=[(extension(scts), False)])


def seen(leaf: Signed, tmp_path: Path, *sent: Signed, date: datetime = START, store: str | None = None) -> Deployment:
    (tmp_path / "logs.json").write_bytes(log_list(LISTED, date))
    chain = [der(item.certificate) for item in (leaf, *sent)]
    found = deployment_of(
        chain, [store or str(tmp_path / "root.pem")], with_sni=True, protocol=Protocol.TLS1_3, tls_scts=0
    )
    assert isinstance(found, Deployment)
    evidence = TargetEvidence(START, 1.0, 1, tls=Attempt.ok(tls(found)))
    completed = AuthorityStage(load_logs(str(tmp_path / "logs.json"))).completed(from_json(to_json(evidence)))
    again = from_json(to_json(completed))
    assert again.tls.value is not None
    assert again.tls.value.certificates.value is not None
    return again.tls.value.certificates.value[0]


CASES: dict[str, tuple[Callable[[Signed], Signed], str]] = {
    "enough": (lambda r: issued(r, [FIRST, SECOND]), "enough"),
    "one": (lambda r: issued(r, [FIRST]), "too-few"),
    "twice the same": (lambda r: issued(r, [FIRST, FIRST]), "too-few"),
    "one operator": (lambda r: issued(r, [FIRST, THIRD]), "one-operator"),
    "two for half a year": (lambda r: issued(r, [FIRST, SECOND], days=(-1, 198)), "too-few"),
    "three for half a year": (lambda r: issued(r, [FIRST, SECOND, THIRD], days=(-1, 198)), "enough"),
    "forged": (lambda r: issued(r, [FIRST, SECOND], forged=(SECOND,)), "forged"),
    "of another certificate": (lambda r: issued(r, [FIRST, SECOND], about=b"0" * 200), "forged"),
    "of another issuer": (lambda r: issued(r, [FIRST, SECOND], by=certificate("Root", ca=True)), "forged"),
    "unknown log": (lambda r: issued(r, [FIRST, STRANGER]), "too-few"),
    "retired before": (lambda r: issued(r, [FIRST, RETIRED]), "too-few"),
    "retired since": (lambda r: issued(r, [FIRST, RETIRED], when=START - 2 * DAY), "enough"),
    "in the future": (lambda r: issued(r, [FIRST, SECOND], when=datetime.now(UTC) + DAY), "too-few"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_logs_promised(root: Signed, tmp_path: Path, name: str) -> None:
    make, reason = CASES[name]
    found = seen(make(root), tmp_path)
    assert verdicts(found, "cert.transparency") == {reason}, found.transparency


def test_an_old_list_accuses_nobody_of_an_unknown_log_and_still_of_a_forged_signature(
    root: Signed, tmp_path: Path
) -> None:
    old = START - 71 * DAY
    assert verdicts(seen(issued(root, [FIRST, STRANGER]), tmp_path, date=old), "cert.transparency") == {"unknown-log"}
    assert verdicts(seen(issued(root, [FIRST, SECOND]), tmp_path, date=old), "cert.transparency") == {"enough"}
    forged = issued(root, [FIRST, SECOND], forged=(FIRST,))
    assert verdicts(seen(forged, tmp_path, date=old), "cert.transparency") == {"forged"}


def test_the_finding_says_of_when_the_list_is(root: Signed, tmp_path: Path) -> None:
    found = seen(issued(root, [FIRST, SECOND]), tmp_path, date=datetime(2026, 9, 1, tzinfo=UTC))
    assert found.transparency.value is not None
    assert (found.transparency.value.list_date.date().isoformat(), found.transparency.value.list_source) == (
        "2026-09-01",
        "logs.json",
    )
    assert [item.operator for item in found.transparency.value.scts] == ["A", "B"]


def test_without_the_issuer_nothing_can_be_verified(root: Signed, tmp_path: Path) -> None:
    middle = certificate("Middle", root, ca=True)
    leaf = issued(middle, [FIRST, SECOND])
    assert verdicts(seen(leaf, tmp_path, middle), "cert.transparency") == {"enough"}
    alone = seen(leaf, tmp_path)
    # Nobody knows then that it is of a public CA.
    assert verdicts(alone, "cert.transparency") == {"private-ca"}
    assert alone.transparency.value is None


def test_the_list_that_ships_has_current_logs_of_several_operators() -> None:
    logs = load_logs()
    assert logs.source.startswith("cryptodatahub ")
    assert logs.date > datetime(2026, 7, 1, tzinfo=UTC)
    for program in LogProgram:
        usable = [log for log in logs.logs.values() if program in log.states and log.states[program].state == "usable"]
        assert len({log.operators[-1][0] for log in usable}) >= 5


def test_an_operator_that_changed_counts_as_the_one_of_then(tmp_path: Path) -> None:
    document = json.loads(log_list([FIRST], START))
    document["operators"][0]["logs"][0]["previous_operators"] = [{"name": "Old", "end_time": "2025-01-01T00:00:00Z"}]
    (tmp_path / "list.json").write_text(json.dumps(document))
    (log,) = load_logs(str(tmp_path / "list.json")).logs.values()
    assert [log.operator_at(datetime(year, 6, 1, tzinfo=UTC)) for year in (2024, 2025)] == ["Old", "A"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"operators": [], "log_list_timestamp": 1}',
        '{"operators": [{"name": "A", "logs": [{"key": "??"}]}], "log_list_timestamp": "2026-01-01T00:00:00Z"}',
    ],
)
def test_a_file_that_is_no_list_is_told_before_anything_is_scanned(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(LogListError, match=r"list\.json"):
        probe_settings(ScanForm(ct_logs="list.json"), [], tmp_path, Overrides())
    with pytest.raises(LogListError, match="cannot be read"):
        probe_settings(ScanForm(ct_logs="none.json"), [], tmp_path, Overrides())


def test_an_sct_that_says_nothing_of_its_log_is_kept_as_such(root: Signed, tmp_path: Path) -> None:
    found = seen(issued(root, [STRANGER]), tmp_path)
    assert found.transparency.value is not None
    (sct,) = found.transparency.value.scts
    assert (sct.check, sct.log, dict(sct.states)) == (SctCheck.UNKNOWN_LOG, "", {})
    assert dataclasses.is_dataclass(sct)


GOOD_SCT = FIRST.sct_beside(certificate("www").certificate, START - timedelta(hours=2))
LISTS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 0),
    "half a length": (b"\x00", 0),
    "cut off": (b"\xff\xff" + b"\x00" * 90, 0),
    "an item that is cut off": (b"\xff" * 500, 0),
    "no timestamps": (sct_list([b"", b"x", b"\x00" * 46]), 0),
    "a signature cut off": (sct_list([GOOD_SCT[:-1]]), 0),
    "something after the signature": (sct_list([GOOD_SCT + b"x"]), 0),
    "a version to come": (sct_list([b"\x01" + GOOD_SCT[1:]]), 0),
    "a moment that no calendar has": (sct_list([GOOD_SCT[:33] + b"\xff" * 8 + GOOD_SCT[41:]]), 0),
    "the list cut off": (sct_list([GOOD_SCT])[:-1], 0),
    "one beside nonsense": (sct_list([b"x", GOOD_SCT]), 1),
    "three": (sct_list([GOOD_SCT] * 3), 3),
    "more than are looked at": (sct_list([GOOD_SCT] * 30), 20),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_comes_along_is_read_as_far_as_it_is_one(name: str, tmp_path: Path) -> None:
    listed, readable = LISTS[name]
    (tmp_path / "logs.json").write_bytes(log_list(LISTED, START))
    leaf = certificate("www").certificate
    logs = load_logs(str(tmp_path / "logs.json"))
    found = verified(leaf, der(leaf), None, logs, START, delivered={SctSource.TLS: listed})
    assert found.value is not None
    # They are of a certificate of the same name with another key.
    assert [sct.check for sct in found.value.scts] == [SctCheck.BAD_SIGNATURE] * readable


def test_an_sct_by_an_algorithm_that_no_log_has_is_not_a_log_s(tmp_path: Path) -> None:
    (tmp_path / "logs.json").write_bytes(log_list(LISTED, START))
    leaf = certificate("www").certificate
    good = FIRST.sct_beside(leaf, START)
    logs = load_logs(str(tmp_path / "logs.json"))
    for algorithm, check in ((b"\x04\x03", SctCheck.VALID), (b"\x02\x03", SctCheck.BAD_SIGNATURE)):
        listed = sct_list([good.replace(b"\x00\x00\x04\x03", b"\x00\x00" + algorithm, 1)])
        found = verified(leaf, der(leaf), None, logs, START, delivered={SctSource.STAPLE: listed})
        assert found.value is not None
        assert [(sct.check, sct.source) for sct in found.value.scts] == [(check, SctSource.STAPLE)]


def test_more_than_scts_can_be_is_not_kept(root: Signed, tmp_path: Path) -> None:
    leaf = der(issued(root, []).certificate)
    found = deployment_of(
        [leaf], [str(tmp_path / "root.pem")], with_sni=True, protocol=Protocol.TLS1_2, tls_sct_list=b"\x00" * 5000
    )
    assert isinstance(found, Deployment)
    assert found.tls_sct_list == b""
