"""`policy check` and `policy diff`, and what the documentation says of policies."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from scanner.app.handlers.policy_diff import PropertyChange, compare
from scanner.config.loading import parse
from scanner.policy import load
from tests.conftest import REPOSITORY, Runner

_OWN = """
[policy]
id = "own"
title = "Own"
version = "1"
date = 2026-01-01
extends = "mozilla-intermediate"
[rules."https.hsts-max-age"]
severity = "critical"
parameters = { seconds = 60 }
[rules."https.redirect"]
severity = "high"
source = { document = "Ours", clause = "7" }
[drop]
"cert.stapled" = "no OCSP any more"
"""


def test_a_comparison_names_what_is_added_dropped_and_changed(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(_OWN)
    found = compare(load("mozilla-intermediate"), load(str(tmp_path / "own.toml")))

    assert found.added == {"https.redirect": "high"}
    assert found.dropped == {"cert.stapled": "low"}
    assert found.reasons == {"cert.stapled": "no OCSP any more"}
    assert set(found.changed) == {"https.hsts-max-age"}
    assert PropertyChange("parameters.seconds", 63072000, 60) in found.changed["https.hsts-max-age"]
    assert compare(load("ncsc-nl"), load("ncsc-nl")).same


def test_policy_diff_is_for_people_and_for_programs(nightseal: Runner, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(_OWN)
    text = nightseal("policy", "diff", "mozilla-intermediate", "own.toml")
    data = nightseal("policy", "diff", "mozilla-intermediate", "own.toml", "--format", "json").json

    assert text.status == 0
    assert "parameters.seconds: 63072000 → 60" in text.out
    assert "no OCSP any more" in text.out
    assert data["before"]["id"] == "mozilla-intermediate"
    assert data["added"] == {"https.redirect": "high"}


def test_policy_check_ends_with_2_on_what_cannot_be(nightseal: Runner, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(_OWN + '[rules."proto.no-tls1.2"]\n[rules."no.such"]\n')
    unknown = nightseal("policy", "check", "own.toml")
    (tmp_path / "own.toml").write_text(_OWN + '[rules."proto.no-tls1.2"]\n')
    impossible = nightseal("policy", "check", "own.toml")

    assert (unknown.status, impossible.status) == (2, 2)
    assert 'rules."no.such": there is no such rule' in unknown.err
    assert 'rules."proto.tls1.2": is required, but proto.no-tls1.2 forbids it' in impossible.err
    assert "warning: rules: 1 of" in impossible.err


def _blocks(language: str) -> list[str]:
    text = (REPOSITORY / "docs" / "policies.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_examples_of_the_documentation_are_right(nightseal: Runner, tmp_path: Path) -> None:
    own, waiver = _blocks("toml")
    (tmp_path / "ours.toml").write_text(own)
    config = parse(waiver, source="config.toml", folder=tmp_path, today=date(2026, 11, 24))

    assert nightseal("policy", "check", "ours.toml").status == 0
    assert config.waivers[0].until_worse == "tls1.1 tls1.2"
