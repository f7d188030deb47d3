"""`policy check`, `policy diff`, `policy replay`, and what `config check` says of waivers, in a process of their own."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from scanner.app.handlers.policy_diff import PropertyChange, compare
from scanner.config import parse
from scanner.history import History
from scanner.policy import load
from tests.build.judged import judged_record
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
    assert 'rules."proto.tls1.2": is demanded, and proto.no-tls1.2 forbids it' in impossible.err
    assert "warning: rules: 1 of" in impossible.err


@pytest.fixture
def two_nights(tmp_path: Path) -> Path:
    """A folder with a history of two runs, and a configuration that is not theirs."""
    history = History.open(tmp_path / "history", create=True)
    for night in (1, 4):
        history.append(judged_record(night).record)
    (tmp_path / "config.toml").write_text(
        '[[environment]]\nname = "legacy"\nkind = "on-premises"\n'
        '[[environment.endpoint]]\nhost = "erp.example.internal"\n'
    )
    return tmp_path


def test_replay_needs_the_history_alone(nightseal: Runner, two_nights: Path) -> None:
    done = nightseal("policy", "replay", "mozilla-modern", "--since", "2026-03-01", "--as-of", "2027-03-15")
    data = nightseal(
        *("policy", "replay", "https-by-default", "--as-of", "2027-03-15", "--format", "json", "--output", "-"),
        cwd=two_nights,
    ).json

    assert done.status == 0
    assert "Because the policy is another" in done.out
    assert "The server negotiates TLS 1.2, and the policy wants only TLS 1.3." in done.out
    assert "Because the servers changed" in done.out
    assert "By 2027-03-15, if nothing is done" in done.out
    assert data["schema"] == "nightseal.replay/1"
    (replay,) = data["replays"]
    assert len(replay["runs"]) == 1
    assert replay["by_server"] is None
    assert {"cert.valid-now"} <= {change["rule"] for change in replay["by_date"]["new_failures"]}
    assert replay["not_recorded"] > 0

    default = nightseal("policy", "replay", "https-by-default")
    assert "verdicts could not be given: the configuration is not the one of that run" in default.out


def test_replay_says_what_is_missing(nightseal: Runner, two_nights: Path) -> None:
    assert "no run since 2027-01-01" in nightseal("policy", "replay", "ncsc-nl", "--since", "2027-01-01").err
    assert 'there is no policy "ncsc"' in nightseal("policy", "replay", "ncsc", cwd=two_nights).err


def test_config_check_tells_of_waivers_that_accepted_nothing_in_the_last_run(
    nightseal: Runner, two_nights: Path
) -> None:
    end = datetime.now(UTC).date() + timedelta(days=100)
    with (two_nights / "config.toml").open("a") as file:
        file.writelines(
            f'[[waiver]]\nrule = "{rule}"\nscope = "legacy"\nreason = "r"\nowner = "o"\nexpires = {end}\n'
            for rule in ("proto.no-tls1.0", "vuln.heartbleed")
        )
    done = nightseal("config", "check")

    assert done.status == 0
    assert "waiver[2]: vuln.heartbleed at legacy accepted nothing in the last run" in done.err
    assert "waiver[1]" not in done.err


def _blocks(language: str) -> list[str]:
    text = (REPOSITORY / "docs" / "policies.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_examples_of_the_documentation_are_right(nightseal: Runner, tmp_path: Path) -> None:
    own, waiver = _blocks("toml")
    (tmp_path / "ours.toml").write_text(own)
    config = parse(waiver, source="config.toml", folder=tmp_path, today=date(2026, 11, 24))

    assert nightseal("policy", "check", "ours.toml").status == 0
    assert config.waivers[0].until_worse == "tls1.1 tls1.2"
