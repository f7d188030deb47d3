"""The commands of the documents: every `nightseal …` in a block that is a shell's or nobody's, and within sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.conftest import REPOSITORY

DOCUMENTS = [
    path
    for path in (
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *sorted((REPOSITORY / "docs").rglob("*.md")),
    )
    if "adr" not in path.parts
]
FORMS = [
    *sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml")),
    REPOSITORY / ".github" / "pull_request_template.md",
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


def mentioned() -> list[tuple[str, str]]:
    """Every command that a sentence or a form names, with the file that does."""
    return [
        (str(document.relative_to(REPOSITORY)), " ".join(found.split()))
        for document in (*DOCUMENTS, *FORMS)
        for found in re.findall(
            r"`(nightseal [a-z][^`]*)`",
            re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE),
        )
    ]


ELSEWHERE = {
    "daemon": "tests/acceptance/test_daemon.py",
    "demo": "tests/packaging/test_wheel.py",
    "worker": "tests/build/fleet.py",
}
"""Commands that run for months, or set up everything that they scan: what runs them."""


def commands() -> list[str]:
    """Each command once, without what follows on its line, less those that other tests begin."""
    found = dict.fromkeys(re.split(r"\s+#|\s[|>]\s|\s&&", line)[0].strip() for _, line in documented())
    return [line for line in found if not elsewhere(line)]


def elsewhere(line: str) -> bool:
    """Whether it is begun by a test of its own."""
    words = line.split()
    return words[1] in ELSEWHERE and words[:3] != ["nightseal", "demo", "--config"]


def connects(line: str) -> bool:
    """Whether it asks a server, a proxy or a receiver."""
    words = line.split()
    return words[1] in {"scan", "run", "doctor", "notify", "demo"} or (
        words[1] == "clients" and "--config" not in words
    )
