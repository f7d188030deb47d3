"""The facts that a target showed, for people: everything that the evidence holds, and unknown is never a no."""

from __future__ import annotations

import dataclasses

import pytest

from reports.facts import render_facts, render_overview
from scanner.evidence import Attempt, Failure, FailureReason, Hop, HttpEvidence, Protocol
from scanner.formats import VIEWS
from scanner.jobs.rule_choice import RuleChoice
from scanner.verdict import RunRecord
from tests.build.hostile import hostile_record
from tests.build.judged import judged_record

RECORD = judged_record(4).record


def first_of(record: RunRecord) -> RunRecord:
    return dataclasses.replace(record, targets=record.targets[:1])


def test_everything_that_was_seen_is_shown() -> None:
    text = " ".join(render_facts(first_of(RECORD), "facts", width=100).split())
    evidence = RECORD.targets[0].evidence
    assert evidence is not None
    tls, http = evidence.tls.value, evidence.http.value
    assert tls is not None
    assert http is not None

    for protocol in tls.negotiated:
        offer = tls.offer(protocol).value
        assert offer is not None
        assert all(suite.name in text and (suite.group or "") in text for suite in offer.suites)
    for groups in tls.groups.values():
        assert ", ".join(groups.value or ()) in text
    for deployment in tls.certificates.value or ():
        for certificate in deployment.chain:
            for shown in (certificate.subject, certificate.issuer, certificate.serial, certificate.fingerprint):
                assert shown in text
            assert f"{certificate.not_after:%Y-%m-%d}" in text
            assert ", ".join(certificate.dns_names) in text
            assert "extended key usage serverAuth" in text, "by its name, as everybody knows it"
    for probe in http.probes:
        for hop in probe.hops:
            assert f"{hop.method} {hop.url}" in text
            assert all(value in text for value in hop.hsts)
            assert all(f"cookie {cookie.name}" in text for cookie in hop.cookies)


def test_each_view_shows_its_part_alone() -> None:
    shown = {view: render_facts(first_of(RECORD), view) for view in VIEWS}

    marks = {"protocols": "  ALPN\n", "certificate": "  Certificate chain 1\n", "http": "  HTTP\n"}
    for view, mark in marks.items():
        assert [name for name in (*marks, "ciphers") if mark in shown[name]] == [view]
        assert mark in shown["facts"]
    assert [name for name in shown if "  Protocols\n" in shown[name]] == ["facts", "protocols", "ciphers"]


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2", ""])
def test_the_version_of_an_answer_is_told_once(version: str) -> None:
    seen = RECORD.targets[0].evidence
    assert seen is not None
    assert seen.http.value is not None
    hop = Hop("https://a.example/", status=200, http_version=version)
    probe = dataclasses.replace(seen.http.value.probes[0], hops=(hop,))
    evidence = dataclasses.replace(seen, http=Attempt.ok(HttpEvidence((probe,))))
    target = dataclasses.replace(RECORD.targets[0], evidence=evidence)

    text = render_facts(dataclasses.replace(RECORD, targets=(target,)), "http")

    assert f"GET https://a.example/: {version} 200".replace("  ", " ") in text


def test_unknown_is_no_no() -> None:
    target = RECORD.targets[0]
    assert target.evidence is not None
    assert target.evidence.tls.value is not None
    cut = Failure(FailureReason.RESET, "after 3 connections")
    tls = dataclasses.replace(
        target.evidence.tls.value,
        heartbleed=Attempt(failure=cut),
        protocols={**target.evidence.tls.value.protocols, Protocol.SSL3: Attempt(failure=cut)},
    )
    evidence = dataclasses.replace(target.evidence, tls=Attempt.ok(tls))
    text = render_facts(dataclasses.replace(RECORD, targets=(dataclasses.replace(target, evidence=evidence),)), "facts")

    lines = {line[4:26].strip(): line[27:] for line in text.splitlines() if line.startswith("    ")}
    assert lines["Heartbleed"].startswith("unknown: ")
    assert lines["SSL 3.0"].startswith("unknown: ")
    assert "after 3 connections" in lines["SSL 3.0"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_keeps_to_the_width(width: int) -> None:
    text = render_facts(RECORD, "facts", width=width)

    longest_word = max(len(word) for word in text.split())
    assert max(map(len, text.splitlines())) <= max(width, longest_word + 12)


def test_a_hostile_host_gives_no_orders() -> None:
    text = render_facts(hostile_record(), "facts") + render_overview(hostile_record())

    assert not [char for char in text if char != "\n" and not char.isprintable()]


def test_the_overview_has_a_line_for_each_target() -> None:
    lines = render_overview(RECORD).splitlines()

    assert len(lines) == len(RECORD.targets)
    for line, target in zip(lines, RECORD.targets, strict=True):
        assert line.startswith(target.address)
        assert f" {target.status}, " in line
        assert "not checked" not in line


def test_the_overview_of_a_part_tells_how_much_was_left_out() -> None:
    """Otherwise "0 not met" of one rule is taken for that of all."""
    part = RuleChoice(only=("cert.*",)).applied(RECORD)
    for line, target in zip(render_overview(part).splitlines(), part.targets, strict=True):
        others = {verdict.rule for verdict in target.verdicts if not verdict.rule.startswith("cert.")}
        assert (f", {len(others)} not checked" in line) == bool(others)
    assert "not checked" in render_overview(part)
