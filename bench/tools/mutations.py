"""Mutants: every change that is made of a module on purpose. The mutations are Cosmic Ray's."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parents[2]
RULES = ("tests/unit/test_rules.py", "tests/unit/test_rules_partial.py")
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "rules/tls": ("scanner/rules/tls", ("tests/unit/test_rules_suites.py", *RULES)),
    "rules/https": ("scanner/rules/https", ("tests/unit/test_rules_hsts.py", *RULES)),
    "rules/certificates": (
        "scanner/rules/certificates",
        ("tests/unit/test_rules_hostname.py", "tests/unit/test_rsa_weakness.py", *RULES),
    ),
    "rules/registry": (
        "scanner/rules/registry",
        ("tests/unit/test_rules_pages.py", "tests/unit/test_policies.py", *RULES, "tests/unit/test_evaluate.py"),
    ),
    "evaluate": ("scanner/evaluate.py", ("tests/unit/test_evaluate.py", "tests/unit/test_rules.py")),
    "budget": ("scanner/probe/net/budget.py", ("tests/unit/test_budget.py", "tests/unit/test_dispatcher.py")),
    "limits": ("scanner/probe/net/limits.py", ("tests/unit/test_budget.py", "tests/unit/test_dispatcher.py")),
    "cutoff": ("scanner/probe/net/cutoff.py", ("tests/unit/test_dispatcher.py",)),
}
"""What is mutated, and the tests that must notice."""
TEXT = frozenset({"fixes.py", "sources.py"})
"""Modules of words alone, which are shown and not judged: tests/lab/test_rule_fixes.py tries what they advise."""
_PARAMETERISED = frozenset({"core/VariableReplacer", "core/VariableInserter"})
"""Operators that ask which variable they are to change."""
Place = tuple[str, int]
"""A function: its file, and the line on which it begins (that of its first decorator)."""


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    part: str
    path: Path
    operator: str
    occurrence: int
    line: int
    function: int
    """The line on which the function begins that is changed; 0 for what runs when the module is loaded."""

    @property
    def place(self) -> Place:
        """The function."""
        return str(self.path), self.function

    @functools.cached_property
    def digest(self) -> str:
        """What the result rests on: the change, the module, and the tests."""
        texts = [self.path, *(ROOT / name for name in PARTS[self.part][1])]
        return hashlib.sha256("".join([self.name, *map(text, texts)]).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """Where it is and what was done there."""
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.operator.removeprefix('core/')} {self.occurrence}"

    def code(self) -> str:
        """The module with the change."""
        source = self.path.read_text("utf-8")
        return str(mutate_code(source, get_operator(self.operator)(), self.occurrence))

    def change(self) -> str:
        """The line before and after."""
        before, after = self.path.read_text("utf-8").splitlines(), self.code().splitlines()
        pairs = ((one, other) for one, other in zip(before, after, strict=False) if one != other)
        one, other = next(pairs, ("", ""))
        return f"    - {one.strip()}\n    + {other.strip()}"


def mutants(parts: list[str]) -> Iterator[Mutant]:
    """Every mutant that could be noticed: not those of annotations, which nobody evaluates."""
    for part in parts:
        place = ROOT / PARTS[part][0]
        for path in [place] if place.is_file() else sorted(place.glob("*.py")):
            if path.name in TEXT:
                continue
            source = path.read_text("utf-8")
            nodes, silent, spans = list(_nodes(parso.parse(source))), _annotations(source), bodies(source)
            for name in operator_names():
                if name in _PARAMETERISED:
                    continue
                operator = get_operator(name)()
                positions = [item for node in nodes for item in operator.mutation_positions(node)]
                for occurrence, ((line, column), _) in enumerate(positions):
                    if not any(start <= (line, column) < end for start, end in silent):
                        function = next((begins for begins, *body in spans if body[0] <= line <= body[1]), 0)
                        yield Mutant(part, path, name, occurrence, line, function)


@functools.cache
def text(path: Path) -> str:
    """A file, read once."""
    return path.read_text("utf-8")


def _nodes(node: parso.tree.NodeOrLeaf) -> Iterator[parso.tree.NodeOrLeaf]:
    waiting = [node]
    while waiting:
        yield (node := waiting.pop())
        waiting += reversed(getattr(node, "children", ()))


def bodies(source: str) -> list[tuple[int, int, int]]:
    """Of each function that stands in no other: where it begins, and the first and last line of its body."""
    found = []
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                begins = min(item.lineno for item in (node, *node.decorator_list))
                found.append((begins, max(node.body[0].lineno, node.lineno + 1), node.end_lineno or 0))
            else:
                waiting.append(node)
    return found


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where begins and ends what nobody evaluates, and what only people read."""
    found: list[ast.AST] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += [node.returns] if node.returns is not None else []
            found += (
                [node]
                if any(isinstance(item, ast.Name) and item.id == "overload" for item in node.decorator_list)
                else []
            )
        elif isinstance(node, ast.keyword) and node.arg in {"sources", "frozen", "slots"}:
            found.append(node.value)  # the number of a document; what mypy sees to
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found.append(node)
    return [
        ((item.lineno, item.col_offset), (item.end_lineno or 0, item.end_col_offset or 0))  # type: ignore[attr-defined]
        for item in found
    ]
