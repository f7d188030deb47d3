"""Names are the field's words, one meaning a word, and modules stand in rooms with names."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SHARED = 6
"""So many modules with one prefix are a package."""
LONGEST = 400
"""Lines of a module."""
LATE_IMPORTS = 15
"""Imports within functions: each is there because few runs need what it loads."""
MANY = 6
"""A class that so many packages import is a word of the whole house."""
PRIVATE = frozenset(
    {"aftermath", "contradiction", "gathered", "greet", "handover", "labour", "lane", "manner", "mend", "questioner"}
    | {"spool", "stranger", "wire", "bad news", "hand over", "hear out", "second thoughts"}
)
"""Words that nobody who is new here could guess the meaning of."""
ONE_MEANING = ("Answer", "Cause", "Finding", "Outcome", "SignatureParameters", "Standing", "Turn")
"""Words that once had several."""
MIRRORS = ("scanner/lab", "reports/export/json/")
"""What is named after something else on purpose: the lab's servers after what asks them, the form of JSON after what
it is made from."""


def words(name: str) -> str:
    """A name in camel or snake case as words."""
    return " ".join(re.findall(r"[A-Z]+(?=[A-Z][a-z]|$|\d)|[A-Z]?[a-z]+|\d+", name)).lower()


@cache
def modules() -> tuple[tuple[Path, ast.Module], ...]:
    paths = sorted(path for folder in ("scanner", "reports") for path in (REPOSITORY / folder).rglob("*.py"))
    return tuple((path.relative_to(REPOSITORY), ast.parse(path.read_text("utf-8"))) for path in paths)


@cache
def walked() -> tuple[tuple[Path, tuple[tuple[ast.AST, bool], ...]], ...]:
    """Of each module what gives a name to something and what imports, and whether that is within a function.

    In one walk for all tests: the house has hundreds of thousands of nodes.
    """
    return tuple((path, tuple(named_or_imported(module))) for path, module in modules())


def named_or_imported(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    wanted = (*functions, ast.ClassDef, ast.Import, ast.ImportFrom, ast.arg, ast.Name, ast.Attribute)
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, within = waiting.pop()
        if isinstance(node, wanted) and not isinstance(getattr(node, "ctx", None), ast.Load):
            yield node, within
        within = within or isinstance(node, functions)
        waiting += [(child, within) for child in ast.iter_child_nodes(node)]


@cache
def declared() -> tuple[tuple[Path, str], ...]:
    """Classes, functions, and what modules give a name to."""
    return tuple(_declared())


def _declared() -> Iterator[tuple[Path, str]]:
    definitions = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path, found in walked():
        yield from ((path, node.name) for node, _ in found if isinstance(node, definitions))
    for path, module in modules():
        for node in module.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            yield from ((path, target.id) for target in targets if isinstance(target, ast.Name))


@cache
def assigned() -> tuple[tuple[Path, str], ...]:
    """Parameters, variables, fields and attributes."""
    return tuple(_assigned())


def _assigned() -> Iterator[tuple[Path, str]]:
    for path, found in walked():
        for node, _ in found:
            if isinstance(node, ast.arg):
                yield path, node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield path, node.id
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield path, node.attr


def terms() -> frozenset[str]:
    """Those of the glossary, in lower case."""
    text = (REPOSITORY / "docs" / "glossary.md").read_text("utf-8")
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return frozenset(term.strip().replace("-", " ").lower() for cell in cells for term in cell.split(","))


def house_words() -> dict[str, int]:
    """Classes that are imported all over the house, by how many packages."""
    classes = {
        node.name
        for path, module in modules()
        for node in module.body
        if isinstance(node, ast.ClassDef) and path.parts[:2] != ("reports", "export")
    }
    packages: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for path, found in walked():
        for node, _ in found:
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"scanner", "reports"}:
                for name in {alias.name for alias in node.names} & classes:
                    packages[name].add(path.with_suffix("").parts[:2])
    return {name: len(users) for name, users in packages.items() if len(users) >= MANY}


def test_the_glossary_has_every_word_of_the_whole_house() -> None:
    known = terms()
    found = house_words()
    assert len(found) > 30
    assert sorted(name for name in found if words(name) not in known and not name.endswith("Error")) == []


def test_no_term_of_the_glossary_stands_there_twice() -> None:
    text = (REPOSITORY / "docs" / "glossary.md").read_text("utf-8")
    first = [term for term in re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE) if term not in {"term", "---"}]
    assert len(first) == len(set(first))


def test_no_name_is_a_private_word() -> None:
    pattern = re.compile(rf"\b(?:{'|'.join(sorted(PRIVATE))})(?:s|ed)?\b")
    # A protocol's own words: what DNS and TLS call the bytes that are sent, SMTP the first line of a server.
    usual = {"to_wire", "from_wire", "wire", "WIRE_VERSIONS", "greeted"}
    names = declared() + assigned()
    named = {f"{path}: {name}" for path, name in names if name not in usual and pattern.search(words(name))}
    named |= {str(path) for path, _ in modules() if pattern.search(words(path.stem))}
    assert sorted(named) == []


@pytest.mark.parametrize("word", ONE_MEANING)
def test_a_word_has_one_meaning(word: str) -> None:
    assert len([path for path, name in declared() if name == word]) <= 1


def test_a_prefix_that_many_modules_share_is_a_package() -> None:
    shared = Counter((path.parent, path.stem.strip("_").partition("_")[0]) for path, _ in modules())
    assert [f"{folder}/{prefix}_*" for (folder, prefix), number in shared.items() if number >= SHARED] == []


def test_no_module_is_too_long_to_read() -> None:
    lengths = {str(path): (REPOSITORY / path).read_bytes().count(b"\n") for path, _ in modules()}
    assert {path: length for path, length in lengths.items() if length > LONGEST} == {}


def test_few_modules_are_imported_within_functions() -> None:
    imports = (ast.Import, ast.ImportFrom)
    found = [
        f"{path}:{node.lineno}"
        for path, nodes in walked()
        for node, within in nodes
        if within and isinstance(node, imports)
    ]
    assert len(found) <= LATE_IMPORTS, found


def test_no_two_classes_that_others_use_have_the_same_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, module in modules():
        if not str(path).startswith(MIRRORS):
            for node in module.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_names_are_read_as_words() -> None:
    assert [words(name) for name in ("TlsEvidence", "hear_out", "HTTPProbe", "Http3")] == [
        "tls evidence", "hear out", "http probe", "http 3",
    ]  # fmt: skip
