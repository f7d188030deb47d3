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
import functools
import gc
import hashlib
import importlib
import importlib.abc
import importlib.util
import inspect
import json
import os
import random
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import coverage
import parso
import pytest
from _pytest.runner import runtestprotocol
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "mutants.jsonl"
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
PLUGINS = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "--timeout=0")
TEXT = frozenset({"fixes.py", "sources.py"})
"""Modules of words alone, which are shown and not judged: tests/lab/test_rule_fixes.py tries what they advise."""
_RULE = re.compile(r'@rule\(\s*(f?"[^"]+")')
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
SURVIVED, NOTICED = 0, 1
"""How a child ends: every test passed, or one did not. Whatever else ends it, it has been noticed."""
LIMIT_S, TIMES, MORE_S = 60, 5, 3
"""The processor time that a child may take: so many seconds; of known tests, so many times theirs and some more."""
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
        return hashlib.sha256("".join([self.name, *map(_text, texts)]).encode()).hexdigest()[:16]

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
            nodes, silent, bodies = list(_nodes(parso.parse(source))), _annotations(source), _bodies(source)
            for name in operator_names():
                if name in _PARAMETERISED:
                    continue
                operator = get_operator(name)()
                positions = [item for node in nodes for item in operator.mutation_positions(node)]
                for occurrence, ((line, column), _) in enumerate(positions):
                    if not any(start <= (line, column) < end for start, end in silent):
                        function = next((begins for begins, *body in bodies if body[0] <= line <= body[1]), 0)
                        yield Mutant(part, path, name, occurrence, line, function)


@functools.cache
def _text(path: Path) -> str:
    return path.read_text("utf-8")


def _nodes(node: parso.tree.NodeOrLeaf) -> Iterator[parso.tree.NodeOrLeaf]:
    waiting = [node]
    while waiting:
        yield (node := waiting.pop())
        waiting += reversed(getattr(node, "children", ()))


def _bodies(source: str) -> list[tuple[int, int, int]]:
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


def _forked(work: Callable[[], bool], seconds: float) -> int:
    """Begin something in a process of its own, which ends with SURVIVED where it is true; its id."""
    child = os.fork()
    if child:
        return child
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        limit = int(seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))  # a mutant that never ends is noticed
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(8 * limit)  # nor does one that waits
        passed = work()
    except BaseException:  # noqa: BLE001  # whatever a mutant breaks, it is noticed
        passed = False
    os._exit(SURVIVED if passed else NOTICED)


def loaded_anew(mutant: Mutant) -> bool:
    """Whether every test of its part passes when the project is loaded with the mutant."""
    sys.meta_path.insert(0, _Loader(mutant))
    tests = [str(ROOT / name) for name in PARTS[mutant.part][1]]
    rules = _RULE.findall(mutant.path.read_text("utf-8"))
    made_up = any(rule.startswith("f") for rule in rules)  # in a loop: their names are not in the text
    only = ["-k", " or ".join(rule.strip('"') for rule in rules)] if rules and not made_up else []
    return pytest.main(["-x", "-q", "--no-header", *PLUGINS, *only, *tests]) == 0


class Collected:
    """A plugin of pytest: when all tests are collected, each mutant is asked of those that call its function."""

    def __init__(self, chosen: Sequence[Mutant], found: Callable[[Mutant, str], None], jobs: int, end: float) -> None:
        self.left: list[Mutant] = []
        """Mutants of what had run when the tests were collected: they want the project loaded anew."""
        self._chosen, self._found, self._jobs, self._end = chosen, found, jobs, end
        self._watched = {str(item.path) for item in chosen}
        self._seen = self._coverage()
        self._early: set[Place] = set()

    def __enter__(self) -> None:
        """Watch what is called from now on."""
        self._seen.start()

    def __exit__(self, *_: object) -> None:
        """Watch no longer."""
        self._seen.stop()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running the tests once."""
        self._seen.stop()
        self._early = {place for places in self._called(self._seen).values() for place in places}
        callers, seconds = self._callers(session)
        functions = self._functions()
        waiting: list[Mutant] = []
        running: dict[int, Mutant] = {}
        for mutant in self._chosen:
            if not mutant.function or mutant.place in self._early or mutant.place not in functions:
                self.left.append(mutant)
            elif mutant.place not in callers:
                self._found(mutant, "survived")  # no test calls it
            else:
                waiting.append(mutant)
        while running or (waiting and time.monotonic() < self._end):
            while waiting and len(running) < self._jobs and time.monotonic() < self._end:
                mutant = waiting.pop(0)
                numbers = sorted(callers[mutant.place], key=seconds.__getitem__)
                items = [session.items[number] for number in numbers]
                limit = TIMES * sum(seconds[number] for number in numbers) + MORE_S
                work = functools.partial(_holds, mutant, functions[mutant.place], items)
                running[_forked(work, min(limit, LIMIT_S))] = mutant
            child, status = os.wait()
            alive = os.waitstatus_to_exitcode(status) == SURVIVED
            self._found(running.pop(child), "survived" if alive else "noticed")
        return True

    def _coverage(self) -> coverage.Coverage:
        return coverage.Coverage(data_file=None, config_file=False, include=sorted(self._watched))

    def _called(self, seen: coverage.Coverage) -> Mapping[str, set[Place]]:
        """The functions of which anything ran, by context."""
        found: dict[str, set[Place]] = {}
        data = seen.get_data()
        for file in data.measured_files():
            begins = {line: body[0] for body in _bodies(_text(Path(file))) for line in range(body[1], body[2] + 1)}
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts if line in begins else ():
                    found.setdefault(context, set()).add((file, begins[line]))
        return found

    def _callers(self, session: pytest.Session) -> tuple[Mapping[Place, list[int]], Mapping[int, float]]:
        """Which tests call a function, and how long each takes. They are run in a fork, that nothing is cached here."""
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            with os.fdopen(writer, "w") as out:
                seen = self._coverage()
                seen.start()
                for number, item in enumerate(session.items):
                    seen.switch_context(str(number))
                    begun = time.process_time()
                    passed = _passes([item])
                    took = time.process_time() - begun
                    out.write(json.dumps([number, took, passed, item.nodeid]) + "\n")
                seen.stop()
                called = self._called(seen)
                out.write(json.dumps([[number, sorted(places)] for number, places in called.items() if number]))
            os._exit(0)
        os.close(writer)
        callers: dict[Place, list[int]] = {}
        seconds: dict[int, float] = {}
        with os.fdopen(reader) as told:
            *times, called = map(json.loads, told)
        for number, took, passed, name in times:
            if passed:
                seconds[number] = took
            else:
                print(f"left out, for it fails without any change: {name}", file=sys.stderr)
        for number, places in called:
            for file, line in places if int(number) in seconds else ():
                callers.setdefault((file, line), []).append(int(number))
        os.waitpid(child, 0)
        return callers, seconds

    def _functions(self) -> Mapping[Place, list[FunctionType]]:
        found: dict[Place, list[FunctionType]] = {}
        gc.unfreeze()  # tests/conftest.py freezes what is there after the collection
        for item in gc.get_objects():
            if isinstance(item, FunctionType) and item.__code__.co_filename in self._watched:
                found.setdefault((item.__code__.co_filename, item.__code__.co_firstlineno), []).append(item)
        return found


def _passes(items: Sequence[pytest.Item]) -> bool:
    for number, item in enumerate(items):
        following = items[number + 1] if number + 1 < len(items) else None
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return False
    return True


def _holds(mutant: Mutant, functions: Sequence[FunctionType], items: Sequence[pytest.Item]) -> bool:
    """Put the mutant's code in the place of the functions', and run the tests that call them."""
    module = compile(mutant.code(), str(mutant.path), "exec")
    (changed,) = (code for code in _codes(module) if code.co_firstlineno == mutant.function and not _is_class(code))
    for function in functions:
        function.__code__ = changed
    return _passes(items)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of every function that stands in no other, and of every class."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            if _is_class(inner):
                yield from _codes(inner)


def _is_class(code: CodeType) -> bool:
    return not code.co_flags & inspect.CO_NEWLOCALS


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
        "--sample", type=int, default=0, help="so many mutants of each part, chosen by the seed; 0 for all of them"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600, help="begin no mutant later than this")
    parser.add_argument("--only", choices=PARTS, action="append", help="these parts alone")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    end = time.monotonic() + options.seconds
    everyone = list(mutants(options.only or list(PARTS)))
    chosen = sample(everyone, options.sample, random.Random(options.seed))  # noqa: S311  # nothing secret
    known = _kept()
    _load_libraries()
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as kept:

        def found(mutant: Mutant, state: str) -> None:
            known[mutant.digest] = state
            kept.write(json.dumps([mutant.digest, state, mutant.name]) + "\n")
            kept.flush()

        left = _of_functions([item for item in chosen if item.digest not in known], found, options.jobs, end)
        _of_modules(left, found, options.jobs, end)
    _tell(chosen, _kept(), len(everyone), options.seed)
    return 0


def _of_functions(chosen: list[Mutant], found: Callable[[Mutant, str], None], jobs: int, end: float) -> list[Mutant]:
    """Test the mutants of functions; return those that want the project loaded anew: here, nothing of it is loaded."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        plugin = Collected(chosen, found, jobs, end)
        tests = dict.fromkeys(test for part in dict.fromkeys(item.part for item in chosen) for test in PARTS[part][1])
        with plugin:
            pytest.main(["-q", "-s", "--no-header", *PLUGINS, *tests], plugins=[plugin])
        numbers = {item.digest: number for number, item in enumerate(chosen)}
        with os.fdopen(writer, "w") as out:
            json.dump([numbers[item.digest] for item in plugin.left], out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        numbers = json.load(told)
    os.waitpid(child, 0)
    return [chosen[number] for number in numbers]


def _of_modules(chosen: list[Mutant], found: Callable[[Mutant, str], None], jobs: int, end: float) -> None:
    waiting, running = list(chosen), dict[int, Mutant]()
    while running or (waiting and time.monotonic() < end):
        while waiting and len(running) < jobs and time.monotonic() < end:
            mutant = waiting.pop(0)
            running[_forked(functools.partial(loaded_anew, mutant), LIMIT_S)] = mutant
        child, status = os.wait()
        found(running.pop(child), "survived" if os.waitstatus_to_exitcode(status) == SURVIVED else "noticed")


def _kept() -> dict[str, str]:
    """What earlier runs found of the same code and tests."""
    if not KEPT.exists():
        return {}
    return {digest: state for digest, state, _ in map(json.loads, KEPT.read_text("utf-8").splitlines())}


def _tell(chosen: Sequence[Mutant], known: Mapping[str, str], everyone: int, seed: int) -> None:
    for part in PARTS:
        states = [known[item.digest] for item in chosen if item.part == part and item.digest in known]
        if states:
            print(f"{part}: {states.count('noticed')} of {len(states)} mutants were noticed")
    done = [item for item in chosen if item.digest in known]
    survivors = [item for item in done if known[item.digest] == "survived"]
    print(f"{len(done) - len(survivors)} of {len(done)} noticed, of {everyone} that there are (seed {seed})")
    for mutant in sorted(survivors, key=lambda item: item.name):
        print(f"{mutant.name}\n{mutant.change()}")


if __name__ == "__main__":
    sys.exit(main())
