"""The commands of the documents: every `nightseal …` in a block that is a shell's or nobody's, and within sentences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

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
    "daemon": "tests/packaging/test_documented_services.py",
    "demo": "tests/packaging/test_wheel.py",
    "worker": "tests/packaging/test_documented_services.py",
}
"""Commands that run until they are stopped, or set up everything that they scan: the test that runs each as it is
documented, which takes its lines from `elsewhere`."""


def commands() -> list[str]:
    """Each command once, without what follows on its line, less those that other tests begin."""
    return [line for line in _distinct(documented()) if not _is_elsewhere(line)]


def elsewhere(command: str) -> list[str]:
    """The lines of one of those commands, of blocks and of sentences: each once."""
    return [
        line for line in _distinct((*documented(), *mentioned())) if line.split()[1] == command and _is_elsewhere(line)
    ]


def _distinct(found: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(re.split(r"\s+#|\s[|>]\s|\s&&", line)[0].strip() for _, line in found))


def _is_elsewhere(line: str) -> bool:
    words = line.split()
    return words[1] in ELSEWHERE and words[:3] != ["nightseal", "demo", "--config"]


def connects(line: str) -> bool:
    """Whether it asks a server, a proxy or a receiver."""
    words = line.split()
    return words[1] in {"scan", "run", "doctor", "notify", "demo"} or (
        words[1] == "clients" and "--config" not in words
    )
