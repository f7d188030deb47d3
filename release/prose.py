"""Look for words that users should not have to read: `docs/style.md` says which, and what stands in their place.

    python -m release.prose

Read are the documents, the templates of reports, the policies, and every text of the program that is not a docstring
of ours: messages, rules, help. One that is meant stands in `MEANT`, with its reason.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from release.steps import REPOSITORY

STYLE = REPOSITORY / "docs" / "style.md"
MEANT = {
    "docs/style.md": "lists the words",
    "CHANGELOG.md": "tells what was, in the words of the time",
}
COMMANDS = "scanner/app/commands"
FORMS = ("scanner/config/form", "reports/export/json/v1_model", "reports/export/json/evidence_model")
"""Modules whose docstrings are descriptions in a JSON Schema."""


def word_list(page: str) -> list[tuple[re.Pattern[str], str]]:
    """The table of the page: what to look for, as a regular expression, and what to write."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", page, re.MULTILINE)
    # A phrase may go on in the next line.
    return [(re.compile(pattern.replace("\\|", "|").replace(" ", r"\s")), instead) for pattern, instead in rows]


def documents() -> Iterator[tuple[str, int, str]]:
    """Each paragraph of the documents, less what stands in blocks of code."""
    for page in (*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))):
        name = str(page.relative_to(REPOSITORY))
        if name in MEANT or "/adr/" in name:
            continue
        fenced, paragraph, first = False, list[str](), 1
        for number, line in enumerate((*page.read_text("utf-8").splitlines(), ""), 1):
            fence = line.lstrip().startswith("```")
            fenced ^= fence
            if line.strip() and not fence and not fenced:
                first = first if paragraph else number
                paragraph.append(line.strip())
            elif paragraph:
                yield name, first, "\n".join(paragraph)
                paragraph.clear()


def templates() -> Iterator[tuple[str, int, str]]:
    """Each line of the templates, less what is code of theirs."""
    for page in sorted((REPOSITORY / "templates").rglob("*.html")):
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            said = re.sub(r"\{%(?!-? *trans).*?%\}|<[^>]*>", " ", line)
            yield str(page.relative_to(REPOSITORY)), number, said


def program() -> Iterator[tuple[str, int, str]]:
    """Each text of the program that users may read; of docstrings, those that are help or descriptions."""
    for folder in ("scanner", "reports"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            name = str(path.relative_to(REPOSITORY))
            tree = ast.parse(path.read_text("utf-8"))
            unread = docstrings(tree, modules_alone=name.startswith((COMMANDS, *FORMS)))
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in unread:
                    yield name, node.lineno, node.value


def policies() -> Iterator[tuple[str, int, str]]:
    """Each line of the policies that ship, less the sources, whose titles are not ours."""
    for path in sorted((REPOSITORY / "scanner" / "policies").glob("*.toml")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if not re.match(r"(source|clause|title) = ", line):
                yield str(path.relative_to(REPOSITORY)), number, line


def docstrings(tree: ast.Module, *, modules_alone: bool) -> set[int]:
    """The texts that stand alone as a statement; of modules of commands and forms, only the first."""
    nodes = tree.body[:1] if modules_alone else ast.walk(tree)
    return {id(node.value) for node in nodes if isinstance(node, ast.Expr)}


def findings() -> list[str]:
    """Each word of the list that stands where users read it, with what to write."""
    words = word_list(STYLE.read_text("utf-8"))
    found = []
    for name, number, text in (*documents(), *templates(), *policies(), *program()):
        # A single word in small letters is a key, not a text.
        if " " in text or not text.islower():
            found += [f'{name}:{number + line}: "{word}": {instead}' for line, word, instead in matches(text, words)]
    return found


def matches(text: str, words: list[tuple[re.Pattern[str], str]]) -> Iterator[tuple[int, str, str]]:
    """Each word of the list in a text: how many lines below its first, the word, and what to write."""
    for pattern, instead in words:
        for found in pattern.finditer(text):
            yield text.count("\n", 0, found.start()), " ".join(found[0].split()), instead


def main() -> None:
    """Print what was found; status 1 where there is anything."""
    found = findings()
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
