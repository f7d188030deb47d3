"""The commands of the documents: every `nightseal …` in a block that is a shell's or nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.conftest import REPOSITORY

DOCUMENTS = [
    path
    for path in (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md")))
    if "adr" not in path.parts
]
_COMMAND = re.compile(r"\s*(?:\$ )?(?:\$as_service )?(?:/opt/nightseal/bin/|\.?venv/bin/)?(nightseal [a-z].*)$")


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Each fenced block with its language; a fence closes what the one before opened."""
    language: str | None = None
    lines: list[str] = []
    for line in text.splitlines():
        fence = line.strip()
        if not fence.startswith("```"):
            lines.append(line)
        elif language is None:
            language, lines = fence[3:], []
        else:
            yield language, "\n".join(lines)
            language = None


def documented() -> list[tuple[str, str]]:
    """Every command, with the document that has it."""
    return [
        (str(document.relative_to(REPOSITORY)), found[1].strip())
        for document in DOCUMENTS
        for language, block in blocks(document.read_text("utf-8"))
        if language in {"", "sh", "console", "text"}
        for line in block.replace("\\\n", " ").splitlines()
        if (found := _COMMAND.match(line))
    ]
