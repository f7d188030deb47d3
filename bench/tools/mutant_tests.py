"""Asking the tests about a mutant: each lives in a forked process of its own."""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.abc
import importlib.util
import inspect
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import coverage
import pytest
from _pytest.runner import runtestprotocol

from bench.tools.mutations import PARTS, ROOT, Mutant, Place, bodies, text

PLUGINS = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "--timeout=0")
_RULE = re.compile(r'@rule\(\s*(f?"[^"]+")')
"""Where a module declares rules: the tests of those are asked, which have the rule's id in their names."""
SURVIVED, NOTICED = 0, 1
"""How a child ends: every test passed, or one did not. Whatever else ends it, it has been noticed."""
LIMIT_S, TIMES, MORE_S = 60, 5, 3
"""The processor time that a child may take: so many seconds; of known tests, so many times theirs and some more."""


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


def forked(work: Callable[[], bool], seconds: float) -> int:
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
                running[forked(work, min(limit, LIMIT_S))] = mutant
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
            begins = {line: body[0] for body in bodies(text(Path(file))) for line in range(body[1], body[2] + 1)}
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
