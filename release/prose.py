"""Look for words that users should not have to read: `docs/style.md` says which, and what stands in their place.

    python -m release.prose

Read are the documents, the templates of reports, and every text of the program that is not a docstring of ours:
messages, rules, help. One that is meant stands in `MEANT`, with its reason.
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


def word_list(page: str) -> list[tuple[re.Pattern[str], str]]:
    """The table of the page: what to look for, as a regular expression, and what to write."""
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", page, re.MULTILINE)
    return [(re.compile(pattern.replace("\\|", "|")), instead) for pattern, instead in rows]


def documents() -> Iterator[tuple[str, int, str]]:
    """Each line of the documents, less what stands in blocks of code."""
    for page in (*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))):
        name = str(page.relative_to(REPOSITORY))
        if name in MEANT or "/adr/" in name:
            continue
        fenced = False
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if not fenced:
                yield name, number, line


def templates() -> Iterator[tuple[str, int, str]]:
    """Each line of the templates, less what is code of theirs."""
    for page in sorted((REPOSITORY / "templates").rglob("*.html")):
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            said = re.sub(r"\{%(?!-? *trans).*?%\}|<[^>]*>", " ", line)
            yield str(page.relative_to(REPOSITORY)), number, said


def program() -> Iterator[tuple[str, int, str]]:
    """Each text of the program that users may read; of docstrings, those of commands, which are their help."""
    for folder in ("scanner", "reports"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            name = str(path.relative_to(REPOSITORY))
            tree = ast.parse(path.read_text("utf-8"))
            unread = docstrings(tree, modules_alone=name.startswith(COMMANDS))
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in unread:
                    yield name, node.lineno, node.value


def docstrings(tree: ast.Module, *, modules_alone: bool) -> set[int]:
    """The texts that stand alone as a statement; of modules of commands, only the first."""
    nodes = tree.body[:1] if modules_alone else ast.walk(tree)
    return {id(node.value) for node in nodes if isinstance(node, ast.Expr)}


def findings() -> list[str]:
    """Each word of the list that stands where users read it, with what to write."""
    words = word_list(STYLE.read_text("utf-8"))
    return [
        f'{name}:{number}: "{found[0]}": {instead}'
        for name, number, text in (*documents(), *templates(), *program())
        for pattern, instead in words
        # A single word in small letters is a key, not a text.
        if (found := pattern.search(text)) and (" " in text or not text.islower())
    ]


def main() -> None:
    """Print what was found; status 1 where there is anything."""
    found = findings()
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
