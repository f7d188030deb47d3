"""Five scans of the whole lab: no verdict may change from one to the next (`make rounds`)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.lab import Lab
from tests.build import whole_lab
from tests.conftest import REPOSITORY, reach

ROUNDS = 5
Statuses = dict[tuple[str, str], list[str]]
BREAKS_OFF = "lab/silent-after-handshakes.lab.example"
"""It answers six connections. Which probe's they are is a matter of chance, and so is what is not seen; what is, is not."""
NOT_SEEN = {"indeterminate", "not-run"}


def scanned(lab: Lab, folder: Path, number: int) -> Statuses:
    """The statuses of each rule, by target and rule: subjects are named by keys, of which each lab has its own."""
    output, config = folder / f"report-{number}.json", folder / "config.toml"
    config.write_text(whole_lab.configuration(lab))
    options = ["--format", "json", "--output", str(output), "--config", str(config), "--quiet"]
    command = [sys.executable, "-m", "scanner.app.cli", "run", *options, *reach(lab)]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=whole_lab.SECONDS, check=False
    )
    assert done.returncode == 1, done.stderr
    targets: list[dict[str, Any]] = json.loads(output.read_text())["targets"]
    found: Statuses = {}
    for target in targets:
        for verdict in target["verdicts"]:
            found.setdefault((target["id"], verdict["rule"]), []).append(verdict["status"])
    return {key: sorted(statuses) for key, statuses in found.items()}


@pytest.mark.rounds
@pytest.mark.timeout(ROUNDS * whole_lab.SECONDS)
def test_no_verdict_on_the_lab_changes_over_five_rounds(tmp_path: Path) -> None:
    rounds = []
    for number in range(ROUNDS):
        # Some servers of the lab remember what they were asked, so each round has a lab of its own.
        shutil.rmtree(tmp_path / "lab", ignore_errors=True)
        # In one place, because targets that are files are named by theirs.
        with Lab(directory=tmp_path / "lab") as lab:
            assert not lab.skipped, f"the lab lacks something: {dict(lab.skipped)}"
            rounds.append(scanned(lab, tmp_path, number))
    compared = sum(len(statuses) for statuses in rounds[0].values())
    print(f"{ROUNDS} rounds, {compared} verdicts each")  # noqa: T201  # who waits for it sees what was compared
    changed = {}
    for key in sorted({key for one in rounds for key in one}):
        statuses = [one.get(key, []) for one in rounds]
        if key[0].startswith(BREAKS_OFF):
            statuses = [seen for seen in statuses if not NOT_SEEN.issuperset(seen)]
        if any(seen != statuses[0] for seen in statuses):
            changed[key] = statuses
    assert not changed, "\n".join(f"{target} {rule}: {seen}" for (target, rule), seen in changed.items())
