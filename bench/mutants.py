"""Does a test notice when the code is wrong? Mutants of the rules, of evaluate and of the budget, and who survives.

The mutations are Cosmic Ray's. Its own runner starts pytest anew for each, which takes longer than the tests; here each
mutant lives in a forked process that has loaded all libraries and nothing of the project. Decorated functions and
tables are mutated too, which rules are made of and other tools leave out.

    python bench/mutants.py [--sample N] [--seed S] [--seconds S] [--only PART] [--jobs N]      (or `make mutants`)

prints the score and the survivors with the line that was changed. docs/mutants.md says of those that are known why, and
how a survivor is told from a change that means nothing.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import os
import random
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parent.parent
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
_RULE = re.compile(r'@rule\(\s*"([^"]+)"')
"""Where a module declares rules: the tests of those are asked, which have the rule's id in their names."""
_PARAMETERISED = frozenset({"core/VariableReplacer", "core/VariableInserter"})
"""Operators that ask which variable they are to change."""
LIBRARIES = (
    "asn1crypto.x509",
    "cryptography.x509.verification",
    "hypothesis.strategies",
    "idna",
    "pydantic",
    "pytest",
    "tlslite.api",
    "weasyprint",
    "lxml.etree",
    "click",
)
SURVIVED, LIMIT_S = 0, 60
"""How a child ends where every test passed, and after how many seconds of its processor time it has been noticed."""


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    part: str
    path: Path
    operator: str
    occurrence: int
    line: int

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
            tree, silent = parso.parse(source), _annotations(source)
            for name in operator_names():
                if name in _PARAMETERISED:
                    continue
                operator = get_operator(name)()
                positions = [item for node in _nodes(tree) for item in operator.mutation_positions(node)]
                for occurrence, ((line, column), _) in enumerate(positions):
                    if not any(start <= (line, column) < end for start, end in silent):
                        yield Mutant(part, path, name, occurrence, line)


def _nodes(node: parso.tree.NodeOrLeaf) -> Iterator[parso.tree.NodeOrLeaf]:
    yield node
    for child in getattr(node, "children", ()):
        yield from _nodes(child)


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


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from the mutant's code."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._module = ".".join(mutant.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        package = self._mutant.path.name == "__init__.py"
        return importlib.util.spec_from_file_location(
            name,
            self._mutant.path,
            loader=self,
            submodule_search_locations=[str(self._mutant.path.parent)] if package else None,
        )

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.code(), str(self._mutant.path), "exec"), module.__dict__)  # noqa: S102  # that is what it is for


def begin(mutant: Mutant) -> int:
    """Begin to test a mutant in a process of its own, which ends with 0 where every test passes; its id."""
    child = os.fork()
    if child:
        return child
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))  # a mutant that never ends is noticed
    signal.alarm(8 * LIMIT_S)  # nor does one that waits
    sys.meta_path.insert(0, _Loader(mutant))
    import pytest  # loaded already

    tests = [str(ROOT / name) for name in PARTS[mutant.part][1]]
    rules = _RULE.findall(mutant.path.read_text("utf-8"))
    only = ["-k", " or ".join(rules)] if rules else []
    plugins = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov"]
    try:
        passed = pytest.main(["-x", "-q", "--no-header", *plugins, *only, *tests]) == 0
    except BaseException:  # noqa: BLE001  # whatever a mutant breaks, it is noticed
        passed = False
    os._exit(SURVIVED if passed else 1)


def tested(chosen: list[Mutant], jobs: int, seconds: float) -> Iterator[tuple[Mutant, bool]]:
    """Each mutant with whether it survived, as they end; none is begun after so many seconds."""
    end, waiting, running = time.monotonic() + seconds, list(chosen), {}
    while running or (waiting and time.monotonic() < end):
        while waiting and len(running) < jobs and time.monotonic() < end:
            mutant = waiting.pop(0)
            running[begin(mutant)] = mutant
        child, status = os.wait()
        mutant, alive = running.pop(child), os.waitstatus_to_exitcode(status) == SURVIVED
        print("survived" if alive else "noticed ", mutant.name, file=sys.stderr, flush=True)
        yield mutant, alive


def sample(everyone: list[Mutant], of_each: int, chance: random.Random) -> list[Mutant]:
    """So many of each part, or all where that is 0, in an order that favours none: it may be broken off anywhere."""
    chosen: list[Mutant] = []
    for part in PARTS:
        of_part = [mutant for mutant in everyone if mutant.part == part]
        chosen += chance.sample(of_part, min(of_each or len(of_part), len(of_part)))
    chance.shuffle(chosen)
    return chosen


def _load_libraries() -> None:
    """What all tests need, and none of it is the project's."""
    for name in LIBRARIES:
        importlib.import_module(name)


def main() -> int:
    """Make mutants, test them, and say who survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sample", type=int, default=30, help="so many mutants of each part, chosen by the seed; 0 for all of them"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1800, help="begin no mutant later than this")
    parser.add_argument("--only", choices=PARTS, action="append", help="these parts alone")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    everyone = list(mutants(options.only or list(PARTS)))
    chosen = sample(everyone, options.sample, random.Random(options.seed))  # noqa: S311  # nothing secret
    _load_libraries()
    done = list(tested(chosen, options.jobs, options.seconds))
    for part in PARTS:
        of_part = [alive for mutant, alive in done if mutant.part == part]
        if of_part:
            print(f"{part}: {len(of_part) - sum(of_part)} of {len(of_part)} mutants were noticed", flush=True)
    survivors = [mutant for mutant, alive in done if alive]
    print(
        f"{len(done) - len(survivors)} of {len(done)} noticed, of {len(everyone)} that there are (seed {options.seed})"
    )
    for mutant in sorted(survivors, key=lambda item: item.name):
        print(f"{mutant.name}\n{mutant.change()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
