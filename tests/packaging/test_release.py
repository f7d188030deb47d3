"""What a release is made by: builds that repeat, licences, an audit that claims no more than it asked, the container."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from release import audit, container, licences, newcomer
from release.steps import ReleaseError
from tests.conftest import REPOSITORY


def test_every_licence_is_listed_and_compatible() -> None:
    found = licences.shipped()

    assert len(found) > 60
    assert licences.problems(found) == []
    assert licences.PAGE.read_text("utf-8") == licences.page(found), "`make licences` writes it"


@pytest.mark.parametrize(
    ("expression", "taken"),
    [
        ("MIT", True),
        ("MIT OR Proprietary-9", False),  # an unknown word is read by somebody, not guessed
        ("GPL-2.0-only", False),
        ("GPL-2.0-only OR MIT", True),
        ("GPL-2.0-only AND MIT", False),
        ("(GPL-2.0-only OR MIT) AND BSD-3-Clause", True),
        ("", False),
        ("UNKNOWN", False),
    ],
)
def test_a_licence_that_does_not_fit_is_found(expression: str, taken: bool) -> None:  # noqa: FBT001  # a case's column
    assert licences.compatible(expression) is taken
    assert (licences.problems({"x": expression}) == []) is taken


def test_every_part_of_others_in_the_wheel_is_listed() -> None:
    page = licences.BUNDLED
    fonts = {path.name.split("-")[0] for path in (REPOSITORY / "templates" / "fonts").glob("*.woff2")}

    assert {
        font
        for font in fonts
        if re.sub(r"(?<=[a-z])(?=[A-Z])", " ", font).replace("Jet Brains", "JetBrains") not in page
    } == set()
    assert all(f"`{folder}`" in page for folder in ("reports/templates/fonts", "scanner/probe/data"))


ANSWERED = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "version": "1", "skip_reason": "not found"}
HOLE = {"name": "c", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("packages", "said"),
    [
        ([ANSWERED, ANSWERED], "no known vulnerabilities in 2 packages"),
        ([ANSWERED, SKIPPED], "NOT AUDITED IN FULL: nothing was answered for 1 of 2 packages"),
        ([SKIPPED], "NOT AUDITED: no service"),
        ([ANSWERED, HOLE, SKIPPED], "1 known vulnerabilities"),
    ],
)
def test_the_audit_claims_only_what_was_looked_up(packages: list[dict[str, object]], said: str) -> None:
    found = audit.read(json.dumps({"dependencies": packages}))

    assert found.verdict.startswith(said)


def test_each_instruction_of_the_dockerfile_is_one_that_the_check_does(tmp_path: Path) -> None:
    text = container.DOCKERFILE.read_text("utf-8")
    words = [word for word, _ in container.instructions(text)]

    assert words.count("FROM") == 2
    assert set(words) <= {
        "FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    image = container.Image(tmp_path)
    (tmp_path / "var/lib/nightseal").mkdir(parents=True)
    for word, rest in container.instructions(text):
        if word not in {"FROM", "RUN", "COPY"}:
            container.describe(image, word, rest)
    assert image.user == "10001"
    assert (*image.entrypoint, *image.command)[:2] == ("nightseal", "daemon")
    assert image.health[:3] == ("nightseal", "daemon", "--alive")
    with pytest.raises(ReleaseError, match="ONBUILD"):
        container.describe(image, "ONBUILD", "RUN true")
    with pytest.raises(ReleaseError, match="VOLUME"):
        container.describe(image, "VOLUME", "/nowhere")


def test_pip_and_uv_reach_the_index_as_this_machine_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ours.pem").write_text("authorities", "utf-8")
    (tmp_path / "etc").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ours.pem"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")

    settings = container.machines_settings(container.Image(tmp_path))

    assert settings["UV_DEFAULT_INDEX"] == settings["PIP_INDEX_URL"] == "https://index.example/simple"
    assert settings["SSL_CERT_FILE"] == settings["PIP_CERT"]
    assert (tmp_path / settings["PIP_CERT"].lstrip("/")).read_text("utf-8") == "authorities"


def test_each_way_to_install_is_one_that_a_newcomer_tries() -> None:
    lines = newcomer.ways((REPOSITORY / "README.md").read_text("utf-8"))

    assert [line.split()[0] for line in lines] == ["pipx", "uv", "python3", "python3"]
    for wrong in ("", "```\nconda install nightseal\n```\n"):
        with pytest.raises(ReleaseError, match="Install"):
            newcomer.ways(f"# N\n\n## Install\n{wrong}\n## Use\n")


def test_copy_does_what_the_dockerfile_says(tmp_path: Path) -> None:
    context, first, second = (tmp_path / name for name in ("context", "first", "second"))
    (context / "scanner").mkdir(parents=True)
    (context / "scanner" / "a.py").write_text("a")
    (context / "LICENSE").write_text("l")
    stages = {"build": container.Image(first, workdir="/src")}

    container.copy("LICENSE ./", stages["build"], stages, context)
    container.copy("scanner scanner", stages["build"], stages, context)
    container.copy("--from=build /src /opt/src", container.Image(second), stages, context)

    assert (first / "src/LICENSE").read_text() == "l"
    assert (second / "opt/src/scanner/a.py").read_text() == "a"
    with pytest.raises(ReleaseError, match="nothing"):
        container.copy("nothing ./", stages["build"], stages, context)
