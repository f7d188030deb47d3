"""What a history says of another policy, and of waivers: `policy replay` and `config check`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.build.histories import recorded
from tests.build.judged import judged_record
from tests.conftest import Runner


@pytest.fixture
def two_nights(tmp_path: Path) -> Path:
    """A folder with a history of two runs, and a configuration that is not theirs."""
    recorded(tmp_path / "history", [judged_record(night).record for night in (1, 4)])
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
    assert "Because the policy is a different one" in done.out
    assert "The server negotiates TLS 1.2, but the policy allows only TLS 1.3." in done.out
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
