"""Build the documentation as a site, and check it.

    python -m release.site [FOLDER]

The pages are those of docs/ and what is generated here: the command line from its commands, the configuration and the
JSON format from their schemas. MkDocs checks links and headings (`--strict`); then no page may load anything from
outside.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click

from release.steps import REPOSITORY, ReleaseError, call, step
from reports.export.json.v1 import published_schema
from scanner.app.cli import COMMANDS, cli
from scanner.config.form import ConfigForm

SOURCE = REPOSITORY / "build" / "site-source"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, groups before what is in them."""
    context = click.Context(cli, info_name="nightseal")
    for name in COMMANDS:
        if command := cli.get_command(context, name):
            yield from _below(f"nightseal {name}", command)


def _below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for child, below in sorted(command.commands.items()):
            yield from _below(f"{name} {child}", below)


def command_line_page() -> str:
    """The command line, as `--help` says it."""
    parts = ["# Command line\n\nGenerated from the commands themselves; `--help` says the same.\n"]
    for name, command in commands():
        with click.Context(command, info_name=name, max_content_width=100) as context:
            parts.append(f"## `{name}`\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


def schema_page(title: str, lead: str, schema: dict[str, Any]) -> str:
    """A page from a JSON Schema: a table for the whole and one for each definition."""
    parts = [f"# {title}\n\n{lead}\n"]
    definitions = {"": schema, **schema.get("$defs", {})}
    for name, definition in definitions.items():
        properties = definition.get("properties")
        if not properties:
            continue
        about = " ".join(str(definition.get("description", "")).split()) if name else ""
        parts.append(
            f"## {name or 'The whole'}\n\n{_cell(about)}\n\n| key | value | default | meaning |\n|---|---|---|---|"
        )
        for key, item in properties.items():
            default = json.dumps(item["default"], ensure_ascii=False) if item.get("default") is not None else ""
            required = "required" if key in definition.get("required", ()) else f"`{default}`" if default else ""
            parts.append(
                f"| `{key}` | {_cell(kind(item))} | {_cell(required)} | {_cell(str(item.get('description', '')))} |"
            )
        parts.append("")
    return "\n".join(parts) + "\n"


def kind(item: dict[str, Any]) -> str:
    """What a key may hold, in words."""
    if "$ref" in item:
        name = item["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name.endswith("Form") else name
    if "const" in item or "enum" in item:
        return ", ".join(f"`{value}`" for value in item.get("enum", [item.get("const")]))
    if "anyOf" in item:
        return " or ".join(kind(one) for one in item["anyOf"] if one.get("type") != "null")
    if item.get("type") == "array":
        return f"list of {kind(item['items'])}" if isinstance(item.get("items"), dict) else "list"
    return str(item.get("format") or item.get("type") or "any")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def home() -> str:
    """The README as the first page: its links lead from the top of the checkout."""
    text = (REPOSITORY / "README.md").read_text("utf-8")
    return re.sub(r"\]\(docs/(?!adr\))", "](", text)


def inside_only(text: str, page: Path) -> str:
    """A page's text with links to files outside of docs/ as their names: the site does not have them."""

    def kept(found: re.Match[str]) -> str:
        label, target = found[1], found[2].partition("#")[0]
        if "://" in target or not target or _in_site(page, target):
            return found[0]
        return label if label.startswith("`") else f"`{label}`" if "/" in label or "." in label else label

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", kept, text)


def _in_site(page: Path, target: str) -> bool:
    place = (page.parent / target).resolve()
    return place.suffix == ".md" and SOURCE in place.parents and place.exists()


def gather() -> None:
    """Write the source of the site."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(REPOSITORY / "docs", SOURCE, ignore=shutil.ignore_patterns("*.toml"))
    (SOURCE / "reference").mkdir()
    (SOURCE / "index.md").write_text(home(), "utf-8")
    (SOURCE / "reference" / "cli.md").write_text(command_line_page(), "utf-8")
    lead = (
        "Generated from the schema that `nightseal config schema` prints. See also [many hosts](../configuration.md)."
    )
    form = ConfigForm.model_json_schema(by_alias=True)
    (SOURCE / "reference" / "configuration.md").write_text(schema_page("Configuration", lead, form), "utf-8")
    lead = "`nightseal.report/1`, generated from its published schema. Keys may be added within `/1`."
    (SOURCE / "reference" / "json.md").write_text(schema_page("JSON", lead, published_schema()), "utf-8")
    for page in SOURCE.rglob("*.md"):
        page.write_text(inside_only(page.read_text("utf-8"), page), "utf-8")


class Loads(HTMLParser):
    """What a page loads by itself; where its links lead does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is loaded from another origin."""
        values = dict(attrs)
        if tag == "link" and not set((values.get("rel") or "").split()) & {
            "stylesheet",
            "preload",
            "icon",
            "preconnect",
        }:
            return
        for name in ("src", "href", "data", "poster") if tag != "a" else ():
            if re.match(r"(https?:)?//", values.get(name) or ""):
                self.outside.append(f"{tag} {values[name]}")


def outside_requests(folder: Path) -> list[str]:
    """What the site's pages and styles load from elsewhere."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        loads = Loads()
        loads.feed(page.read_text("utf-8"))
        found += [f"{page.relative_to(folder)}: {item}" for item in loads.outside]
    for style in sorted(folder.rglob("*.css")):
        found += [
            f"{style.name}: {item}" for item in re.findall(r"url\(\s*[\"']?(https?://[^)]+)", style.read_text("utf-8"))
        ]
    return found


def main(folder: Path) -> None:
    """Gather, build and check."""
    gather()
    call(
        sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder,
        env={"DISABLE_MKDOCS_2_WARNING": "true", "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    if found := outside_requests(folder):
        raise ReleaseError("\n".join(["The site loads from outside:", *found]))
    pages = sum(1 for _ in folder.rglob("*.html"))
    step(f"{pages} pages in {os.path.relpath(folder)}: links checked, nothing is loaded from outside")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "site").resolve())
    except ReleaseError as error:
        sys.exit(f"No site: {error}")
