"""The documentation as a site: links lead somewhere, nothing is loaded from outside, and its commands are real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from release import site
from scanner.app.cli import cli
from scanner.lab import Lab
from tests.build.documented import documented, mentioned
from tests.conftest import REPOSITORY, Runner, reach

PLACEHOLDERS = {"…", "..."}


@pytest.mark.parametrize(("document", "line"), [*documented(), *mentioned()], ids=lambda text: text[:60])
def test_each_documented_command_is_one_that_there_is(document: str, line: str) -> None:
    plain = re.sub(r"[\[\]]", "", line)  # what may be left out
    words = [
        word for word in shlex.split(re.split(r"\s[|>]|\s&&", plain)[0], comments=True)[1:] if word not in PLACEHOLDERS
    ]
    context, command = click.Context(cli, info_name="nightseal"), cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"{document}: {line}"
        command = found
    with click.Context(command, info_name="nightseal") as inner:
        if words and words[-1].startswith("--"):  # an option that is named without its value
            option = next(item for item in command.params if words[-1] in (*item.opts, *item.secondary_opts))
            words += [] if getattr(option, "is_flag", False) else ["VALUE"]
        # The values are not converted: files of a document need not be there.
        command.make_parser(inner).parse_args(words)


@pytest.mark.xdist_group("docs-site")
def test_the_site_is_built_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    site.main(tmp_path / "site")

    reference = (tmp_path / "site" / "reference" / "cli.html").read_text("utf-8")
    assert "nightseal history certificates" in reference
    assert "--fail-on-rule" in reference
    assert "connections_per_target" in (tmp_path / "site" / "reference" / "configuration.html").read_text("utf-8")


def test_every_document_is_in_the_navigation() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text("utf-8").partition("nav:")[2]
    listed = set(re.findall(r"(\S+\.md)$", text, re.MULTILINE))
    docs = REPOSITORY / "docs"
    # Each rule's page is reached by the table of the rules.
    documents = {str(path.relative_to(docs)) for path in docs.rglob("*.md") if path.parent.name != "rules"}

    generated = {"index.md", "reference/cli.md", "reference/configuration.md", "reference/json.md", "rules/README.md"}
    assert listed == documents | generated


def test_what_is_loaded_from_outside_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://a.example"></a><script src="https://b.example/x.js"></script>'
        '<link rel="stylesheet" href="//c.example/x.css"><link rel="canonical" href="https://d.example">'
    )
    (tmp_path / "a.css").write_text("@font-face { src: url(https://e.example/f.woff2) }")

    assert [item.rpartition(" ")[2] for item in site.outside_requests(tmp_path)] == [
        "https://b.example/x.js", "//c.example/x.css", "https://e.example/f.woff2",
    ]  # fmt: skip


@pytest.mark.xdist_group("tutorial")
def test_the_tutorial_works(lab: Lab, nightseal: Runner, tmp_path: Path) -> None:
    """Every command of it in its order, with a server of the lab in the place of the reader's."""
    text = (REPOSITORY / "docs" / "tutorial.md").read_text("utf-8")
    server = lab.servers["tls13" if "tls13" in lab.servers else "expired"]
    blocks = re.findall(r"^```(sh|toml)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    ran = []
    for language, block in blocks:
        if language == "toml":
            known = block.replace('"www.example.com"', f'"{server.host}"\n  port = {server.port}')
            (tmp_path / "config.toml").write_text(known)
            continue
        for line in block.splitlines():
            words = shlex.split(line)[1:]
            words = [f"{server.host}:{server.port}" if word == "www.example.com" else word for word in words]
            if words[0] in {"scan", "run"}:
                words += reach(lab)
            done = nightseal(*words)
            ran.append(words[0])
            assert done.status in ({0, 1, 3} if words[0] in {"scan", "run", "doctor"} else {0}), f"{line}: {done.err}"
    assert ran == ["doctor", "scan", "explain", "config", "config", "run", "run", "diff"]
    assert {path.suffix for path in (tmp_path / "out").iterdir()} >= {".html", ".pdf"}
