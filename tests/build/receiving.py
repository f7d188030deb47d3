"""Programs that receive reports: the tools of those who read OSCAL, SARIF, JSON Schema, JUnit and DefectDojo.

`make test-receivers` brings them into a folder of their own, because they need other versions of what Nightseal needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

from lxml import etree

from tests.build.servers import MissingProgramError

_IMPORT = """
import json, logging, sys
from types import SimpleNamespace
from norm_findings.parsers.generic import json_parser, parser
json_parser.ParserTest = lambda **known: SimpleNamespace(**known)  # the package's own lacks a field that it is given
refused = []
json_parser.logger.warning = lambda text, error, **_: refused.append(str(error))  # and goes on without the finding
with open(sys.argv[1], encoding="utf-8") as file:
    (test,) = parser.GenericParser().get_tests("Generic Findings Import", file)
print(json.dumps({"refused": refused, "findings": [
    {"title": item.title, "severity": item.severity, "active": item.active, "accepted": item.risk_accepted,
     "endpoints": len(item.unsaved_endpoints), "id": item.unique_id_from_tool} for item in test.findings]}))
"""


def _tools() -> Path:
    folder = os.environ.get("NIGHTSEAL_RECEIVERS")
    if not folder or not Path(folder, "bin").is_dir():
        message = "the receivers' tools are not there: make test-receivers"
        raise MissingProgramError(message)
    return Path(folder)


def _run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = f"{_tools() / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | {"PATH": path}
    )


def trestle(folder: Path, kind: str, text: str) -> list[str]:
    """What compliance-trestle has against an OSCAL document (`kind` is assessment-results or catalog)."""
    work = folder / "trestle"
    if not (work / ".trestle").is_dir():
        work.mkdir()
        _run(_tools() / "bin" / "trestle", "init", cwd=work)
    file = work / ("catalogs" if kind == "catalog" else kind) / "nightseal" / f"{kind}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    done = _run(_tools() / "bin" / "trestle", "validate", "-f", file, cwd=work)
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode == 0 and any("VALID: " in line and "INVALID" not in line for line in lines):
        # It looks for references in links by a pattern of ids of version 4; OSCAL allows version 5, which last.
        return [line for line in lines if "WARNING" in line and "links_validator" not in line]
    return lines or [f"status {done.returncode}"]


def ajv(folder: Path, schema: str, document: str) -> str:
    """What ajv says of a document, its own strictness and all formats on; empty where nothing is wrong."""
    (folder / "schema.json").write_text(schema, "utf-8")
    (folder / "document.json").write_text(document, "utf-8")
    modules = _tools() / "node" / "node_modules"
    options = ["--spec=draft2020", "--strict=true", "--all-errors", "-c", modules / "ajv-formats" / "dist" / "index.js"]
    files = ["-s", folder / "schema.json", "-d", folder / "document.json"]
    done = _run(modules / ".bin" / "ajv", "validate", *options, *files)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def sarif_multitool(folder: Path, text: str) -> set[str]:
    """The rules of SARIF's own validator, and of GitHub's that it knows, that a log breaks as errors or warnings."""
    log, told = folder / "log.sarif", folder / "told.sarif"
    log.write_text(text, "utf-8")
    multitool = _tools() / "node" / "node_modules" / "@microsoft" / "sarif-multitool-linux" / "Sarif.Multitool"
    options = ["--rule-kind", "Sarif;Ghas", "--level", "Error;Warning", "--log", "ForceOverwrite"]
    done = _run(multitool, "validate", log, *options, "--output", told)
    assert "Analysis completed successfully" in done.stdout, done.stdout + done.stderr
    return {result["ruleId"] for run in json.loads(told.read_text("utf-8-sig"))["runs"] for result in run["results"]}


def sarif_tools(folder: Path, text: str) -> dict[str, int]:
    """How many results sarif-tools counts, by level."""
    log = folder / "tools.sarif"
    log.write_text(text, "utf-8")
    counts = folder / "counts.json"
    script = (
        "import json, sys; from sarif import loader; "
        "found = loader.load_sarif_files(sys.argv[1]).get_report(); "
        "counts = {level: found.get_issue_count_for_severity(level) for level in found.get_severities()}; "
        "json.dump(counts, open(sys.argv[2], 'w'))"
    )
    done = _run(_tools() / "bin" / "python", "-c", script, log, counts)
    assert done.returncode == 0, done.stderr
    counted: dict[str, int] = json.loads(counts.read_text("utf-8"))
    return counted


def defectdojo(folder: Path, text: str) -> tuple[list[dict[str, object]], list[str]]:
    """The findings that DefectDojo's parser takes, and why it refuses others; it is in the package norm-findings."""
    file = folder / "findings.json"
    file.write_text(text, "utf-8")
    done = _run(_tools() / "bin" / "python", "-c", _IMPORT, file)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["findings"], told["refused"]


def xunit_schema() -> etree.XMLSchema:
    """The schema of Jenkins' xUnit plugin (junit-10.xsd), which the source of pytest carries."""
    (source,) = (_tools() / "source").glob("pytest-*.tar.gz")
    with tarfile.open(source) as archive:
        (name,) = [item for item in archive.getnames() if item.endswith("/junit-10.xsd")]
        file = archive.extractfile(name)
        assert file is not None
        return etree.XMLSchema(etree.parse(file))
