"""The files that GitHub, GitLab and pre-commit read are ones that they take: nothing else would read them before a push."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

GITHUB = REPOSITORY / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
READ_BY_OTHERS = [
    *(("vendor.github-issue-forms", path) for path in FORMS),
    ("vendor.github-issue-config", GITHUB / "ISSUE_TEMPLATE" / "config.yml"),
    *(("vendor.github-workflows", path) for path in sorted((GITHUB / "workflows").glob("*.yml"))),
    ("vendor.dependabot", GITHUB / "dependabot.yml"),
    ("vendor.gitlab-ci", REPOSITORY / ".gitlab-ci.yml"),
    ("vendor.compose-spec", REPOSITORY / "deploy" / "compose.yaml"),
]


def run(*command: str | Path, cwd: Path = REPOSITORY, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **settings})


def checked(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    # Each schema comes with the program: nothing is looked up elsewhere.
    transform = ["--data-transform", "gitlab-ci"] if "gitlab" in schema else []
    return run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *transform, path)


@pytest.mark.parametrize(("schema", "path"), READ_BY_OTHERS, ids=lambda value: getattr(value, "name", value))
def test_each_file_is_one_that_its_reader_takes(schema: str, path: Path) -> None:
    done = checked(schema, path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        "      value: Not yours: `nightseal` replaces them.",  # a mapping inside of a plain text
        "      {value: a, b and c.}",  # a comma ends the text
    ],
)
def test_a_form_that_github_would_refuse_is_found(wrong: str, tmp_path: Path) -> None:
    form = tmp_path / "form.yml"
    form.write_text(f"name: A\ndescription: B\nbody:\n  - type: markdown\n    attributes:\n{wrong}\n")

    assert checked("vendor.github-issue-forms", form).returncode != 0


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_each_form_asks_for_what_is_needed_to_look_into_it(form: Path) -> None:
    body = {item.get("id"): item for item in yaml.safe_load(form.read_text("utf-8"))["body"]}

    assert "nightseal evidence export --redact" in body["evidence"]["attributes"]["description"]
    assert "nightseal doctor" in body["doctor"]["attributes"]["label"]
    assert body["doctor"]["validations"] == {"required": True}
    assert "SECURITY.md" in body[None]["attributes"]["value"]


def test_both_forges_run_the_same() -> None:
    workflow = yaml.safe_load((GITHUB / "workflows" / "check.yml").read_text("utf-8"))["jobs"]
    gitlab = yaml.safe_load((REPOSITORY / ".gitlab-ci.yml").read_text("utf-8"))

    assert set(workflow) == set(gitlab)
    for name, job in workflow.items():
        assert [step["run"] for step in job["steps"] if "run" in step] == gitlab[name]["script"], name
    (pythons,) = gitlab["pythons"]["parallel"]["matrix"]
    assert workflow["pythons"]["strategy"]["matrix"]["python"] == pythons["PYTHON"]


def test_what_they_run_is_make_check() -> None:
    ran = re.findall(r"^make (.+)$", (REPOSITORY / ".ci" / "run").read_text("utf-8"), re.MULTILINE)
    (check,) = re.findall(r"^check: (.+?)\s+##", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert " ".join(ran).split() == check.split()


def test_pre_commit_takes_its_configuration_and_its_hooks_pass(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    assert run("git", "clone", "--quiet", REPOSITORY, clone).returncode == 0
    (clone / ".pre-commit-config.yaml").write_bytes((REPOSITORY / ".pre-commit-config.yaml").read_bytes())
    # The hooks are programs of the environment that `make test` makes.
    (clone / ".venv").symlink_to(Path(sys.executable).parents[1])
    pre_commit = (sys.executable, "-m", "pre_commit")
    home = str(tmp_path / "home")

    assert run(*pre_commit, "validate-config", cwd=clone).returncode == 0
    hooks = [
        hook["id"]
        for repo in yaml.safe_load((clone / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    assert run(*pre_commit, "install", cwd=clone, PRE_COMMIT_HOME=home).returncode == 0
    assert (clone / ".git" / "hooks" / "pre-commit").is_file()
    (clone / "scanner" / "ill.py").write_text("import os\nimport scanner.app\nx = {  }\n")
    assert run("git", "add", "scanner/ill.py", ".pre-commit-config.yaml", cwd=clone).returncode == 0
    done = run(*pre_commit, "run", cwd=clone, PRE_COMMIT_HOME=home, PYTHONPATH=str(clone))

    assert done.returncode == 1, done.stdout + done.stderr
    assert {"lint", "format"} <= set(re.findall(r"- hook id: (\S+)", done.stdout)) <= set(hooks)
