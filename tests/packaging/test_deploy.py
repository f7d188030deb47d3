"""The documents for whoever runs the service are right: unit, container, alert rules."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families

from reports.export import numbers
from reports.export.formats import export
from scanner.config.form import DaemonForm
from scanner.errors import ExitStatus
from scanner.rules import all_rules
from scanner.service import metrics
from scanner.service.address import http_address
from tests.build.judged import judged_record
from tests.build.ports import free_port
from tests.build.servers import program
from tests.build.service import wait_for
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
PACKAGES = {"promtool": "prometheus", "prometheus": "prometheus", "systemd-analyze": "systemd"}


def tool(
    name: str, *arguments: object, cwd: Path | None = None, said: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(name, PACKAGES[name]), *map(str, arguments)],
        input=said,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_systemd_takes_the_unit() -> None:
    done = tool("systemd-analyze", "verify", DEPLOY / "nightseal.service")

    # The command is where the documentation installs it, which is not here; and other units of this machine are read.
    complaints = [
        line
        for line in done.stderr.splitlines()
        if "nightseal" in line and "/opt/nightseal/bin/nightseal is not executable" not in line
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
    # Its reader is that of a textfile collector: a type that it does not know ends it.
    done = tool("promtool", "check", "metrics", said=text)

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


def test_what_is_refused_is_not_tried_for_ever() -> None:
    unit = (DEPLOY / "nightseal.service").read_text("utf-8")

    assert f"RestartPreventExitStatus={ExitStatus.USAGE:d}" in unit
    # It is about the main process alone; whatever else fails would be tried again, and five times at most.
    assert not re.search("^ExecStartPre=", unit, re.MULTILINE)
    assert "StartLimitIntervalSec=0\n" in unit.partition("[Service]")[0], "an outage is tried again until it is over"


def test_the_unit_lets_reports_be_drawn_at_a_lower_priority() -> None:
    """`os.nice` calls `setpriority`, which the unit takes away together with other calls, and gives back."""
    lines = re.findall("^SystemCallFilter=(.*)$", (DEPLOY / "nightseal.service").read_text("utf-8"), re.MULTILINE)
    taken = next(index for index, line in enumerate(lines) if line.startswith("~") and "@resources" in line)

    assert "setpriority" in tool("systemd-analyze", "syscall-filter", "@resources").stdout
    assert any("setpriority" in line.split() for line in lines[taken + 1 :])


def test_the_container_asks_the_service_of_its_configuration() -> None:
    docker = (DEPLOY / "Dockerfile").read_text("utf-8")
    asked = json.loads(re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", docker)[1])  # type: ignore[index]  # it is there
    begun = json.loads(re.search(r"^CMD (\[.*\])", docker, re.MULTILINE)[1])  # type: ignore[index]  # the same

    assert asked == ["nightseal", "daemon", "--alive", *begun[1:]]
    for name in re.findall(r"^COPY (?!--from)(.+) \S+$", docker, re.MULTILINE):
        for source in name.split():
            assert (REPOSITORY / source).exists(), source


def test_compose_finds_the_configuration_and_lets_metrics_be_scraped() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["nightseal"]
    docker = (DEPLOY / "Dockerfile").read_text("utf-8")
    bound = compose["volumes"][0]

    assert bound["target"] in docker, "what the command reads"
    assert bound["source"].startswith("${NIGHTSEAL_CONFIG:?"), "a path that is not given is an error"
    assert bound["bind"]["create_host_path"] is False
    port = http_address(DaemonForm().http)[1]
    assert compose["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert "NIGHTSEAL_NOTIFY_URL" not in compose["environment"], "secrets come from a file"


class TestDashboard:
    """The dashboard loads in Grafana, and a Prometheus that has scraped the service answers each of its queries."""

    DASHBOARD = json.loads((DEPLOY / "grafana" / "nightseal.json").read_text("utf-8"))

    def queries(self) -> list[str]:
        return [target["expr"] for panel in self.DASHBOARD["panels"] for target in panel["targets"]]

    def test_grafanas_own_model_takes_it(self) -> None:
        read = Dashboard.from_json(self.DASHBOARD)

        assert read.title == "Nightseal"
        assert len(read.panels or ()) == len(self.DASHBOARD["panels"]) >= 10
        places = [tuple(panel["gridPos"].values()) for panel in self.DASHBOARD["panels"]]
        assert len(set(places)) == len(places)
        assert len({panel["id"] for panel in self.DASHBOARD["panels"]}) == len(places)
        for panel in self.DASHBOARD["panels"]:
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}

    def test_each_query_is_answered_by_a_recorded_scrape(self, tmp_path: Path) -> None:
        scrape = (REPOSITORY / "tests" / "packaging" / "scrape.txt").read_text("utf-8")
        with scraped(scrape, tmp_path) as ask:
            for query in self.queries():
                plain = query.replace("$schedule", ".*").replace("$environment", ".*")
                assert ask(plain), plain
            for variable in self.DASHBOARD["templating"]["list"]:
                if variable["type"] == "query":
                    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]  # it has that form
                    assert ask(f'{metric}{{{label}!=""}}'), variable["name"]

    def test_the_recorded_scrape_has_what_the_service_exports_today(self) -> None:
        """Where it does not: `python -m tests.build.scrape >tests/packaging/scrape.txt`."""
        scrape = (REPOSITORY / "tests" / "packaging" / "scrape.txt").read_text("utf-8")
        recorded = {family.name for family in text_string_to_metric_families(scrape)}
        exported = {
            name
            for module in (metrics, numbers)
            for name in re.findall(r'"(nightseal_\w+)"', Path(module.__file__).read_text("utf-8"))
        }

        assert {name for name in recorded if name.startswith("nightseal_")} == exported


@contextlib.contextmanager
def scraped(text: str, folder: Path) -> Iterator[Callable[[str], list[Any]]]:
    """A Prometheus on loopback that scrapes this text every second; what is yielded asks it."""

    class Exporter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    exporter = ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    threading.Thread(target=exporter.serve_forever, daemon=True).start()
    port = free_port()
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: nightseal\n    static_configs: "
        f"[{{targets: ['127.0.0.1:{exporter.server_port}']}}]\n"
    )
    server = subprocess.Popen(
        [program("prometheus", PACKAGES["prometheus"]), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stderr=subprocess.PIPE,
    )  # fmt: skip

    def ask(query: str) -> list[Any]:
        address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return list(json.load(answer)["data"]["result"])

    def seen_twice() -> bool:
        # increase() needs two samples.
        with contextlib.suppress(OSError):
            return bool(ask("count_over_time(nightseal_info[1m]) >= 3"))
        assert server.poll() is None, server.stderr.read() if server.stderr else ""
        return False

    try:
        wait_for(seen_twice, "three scrapes")
        yield ask
    finally:
        server.terminate()
        server.wait(30)
        exporter.shutdown()
