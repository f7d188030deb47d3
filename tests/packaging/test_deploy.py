"""The documents for whoever runs the service are right: unit, container, alert rules."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reports.export import numbers
from reports.export.formats import export
from scanner.config_form import DaemonForm
from scanner.rules import all_rules
from scanner.service import metrics
from tests.build.judged import judged_record
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
PACKAGES = {"promtool": "prometheus", "systemd-analyze": "systemd"}


def tool(name: str, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    if shutil.which(name) is None:
        pytest.fail(f"{name} is missing: apt-get install --no-install-recommends {PACKAGES[name]}")
    return subprocess.run([name, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd)


def test_systemd_takes_the_unit() -> None:
    done = tool("systemd-analyze", "verify", DEPLOY / "nightseal.service")

    # The command is where the documentation installs it, which is not here.
    complaints = [
        line for line in done.stderr.splitlines() if "/opt/nightseal/bin/nightseal is not executable" not in line
    ]
    assert complaints == []


def test_the_unit_exposes_little() -> None:
    done = tool("systemd-analyze", "security", "--offline=true", DEPLOY / "nightseal.service")

    level = re.search(r"Overall exposure level for nightseal\.service: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= 1.5


def test_prometheus_takes_the_rules() -> None:
    done = tool("promtool", "check", "rules", DEPLOY / "prometheus" / "nightseal.rules.yaml")

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should_and_is_silent_when_it_should_be() -> None:
    done = tool("promtool", "test", "rules", "nightseal.tests.yaml", cwd=DEPLOY / "prometheus")

    assert done.returncode == 0, done.stdout + done.stderr
    rules, tests = (
        (DEPLOY / "prometheus" / f"nightseal.{name}.yaml").read_text("utf-8") for name in ("rules", "tests")
    )
    tested = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", tests))
    assert tested == set(re.findall(r"alert: (\w+)", rules)), "an alert that never fires in a test may never fire"


@pytest.mark.parametrize("name", ["prometheus", "openmetrics"])
def test_prometheus_takes_the_file_of_a_run(name: str) -> None:
    text = export(judged_record(4).record, name, rules=all_rules()).decode()
    if shutil.which("promtool") is None:
        pytest.fail(f"promtool is missing: apt-get install --no-install-recommends {PACKAGES['promtool']}")
    # Its reader is that of a textfile collector: a type that it does not know ends it.
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)

    assert "error while linting" not in done.stderr
    # Of what it advises, only names in plural and the like are left.
    assert done.returncode in {0, 3}, done.stderr


def test_alerts_on_results_hold_for_a_file_of_a_run_too() -> None:
    rules = (DEPLOY / "prometheus" / "nightseal.rules.yaml").read_text("utf-8")
    text = export(judged_record(4).record, "prometheus", rules=all_rules()).decode()
    exported = {family.name for family in text_string_to_metric_families(text)}

    for alert in (
        "NightsealTargetsUnreachable",
        "NightsealCriticalFailures",
        "NightsealCertificateEnds",
        "NightsealNoRun",
    ):
        expression = re.search(rf"alert: {alert}\n(.*?)labels:", rules, re.DOTALL)[1]  # type: ignore[index]  # it is there
        assert set(re.findall(r"\bnightseal_\w+", expression)) <= exported, alert


def test_every_alert_is_explained_and_asks_for_metrics_that_there_are() -> None:
    rules = (DEPLOY / "prometheus" / "nightseal.rules.yaml").read_text("utf-8")
    operations = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    source = "".join(Path(module.__file__).read_text("utf-8") for module in (metrics, numbers))
    wanted = set(re.findall(r"\bnightseal_\w+", rules))

    assert wanted
    for name in wanted:
        assert f'"{name.removesuffix("_total")}"' in source, f"nobody exports {name}"
    for name in set(re.findall(r'"(nightseal_\w+)"', source)):
        assert name in operations, f"{name} is not in docs/operations.md"
    for alert in re.findall(r"alert: (\w+)", rules):
        assert alert in operations, f"{alert} is not in docs/operations.md"


def test_what_stops_the_service_waits_longer_than_its_grace() -> None:
    grace = DaemonForm().grace.total_seconds()
    unit = (DEPLOY / "nightseal.service").read_text("utf-8")
    compose = (DEPLOY / "compose.yaml").read_text("utf-8")

    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1]) > grace  # type: ignore[index]  # it is there
    assert int(re.search(r"stop_grace_period: (\d+)s", compose)[1]) > grace  # type: ignore[index]  # the same


def test_the_container_asks_the_service_where_it_answers() -> None:
    docker = (DEPLOY / "Dockerfile").read_text("utf-8")

    assert f"http://{DaemonForm().http}/healthz" in docker
    for name in re.findall(r"^COPY (?!--from)(.+) \S+$", docker, re.MULTILINE):
        for source in name.split():
            assert (REPOSITORY / source).exists(), source
