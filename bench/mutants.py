"""Does a test notice when the code is wrong? Mutants of the rules, of evaluate and of the budget, and who survives.

The mutations are Cosmic Ray's. Its own runner starts pytest anew for each, which takes longer than the tests; here each
mutant lives in a forked process that has loaded all libraries and nothing of the project. Decorated functions and
tables are mutated too, which rules are made of and other tools leave out.

    python bench/mutants.py [--sample N] [--seed S] [--seconds S] [--only PART] [--again] [--jobs N]    (`make mutants`)

prints the score and the survivors with the line that was changed. docs/mutants.md says of those that are known why, and
how a survivor is told from a change that means nothing.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bench.tools.mutant_tests import LIMIT_S, PLUGINS, SURVIVED, Collected, forked, loaded_anew
from bench.tools.mutations import PARTS, ROOT, Mutant, mutants

KEPT = ROOT / "build" / "mutants.jsonl"
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
    parser.add_argument("--again", action="store_true", help="those alone that survived when they were last tried")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    options = parser.parse_args()
    os.chdir(ROOT)
    end = time.monotonic() + options.seconds
    everyone = list(mutants(options.only or list(PARTS)))
    chosen = sample(everyone, options.sample, random.Random(options.seed))  # noqa: S311  # nothing secret
    if options.again:
        last = {name: state for _, state, name in _lines()}
        chosen = [mutant for mutant in chosen if last.get(mutant.name) == "survived"]
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
            running[forked(functools.partial(loaded_anew, mutant), LIMIT_S)] = mutant
        child, status = os.wait()
        found(running.pop(child), "survived" if os.waitstatus_to_exitcode(status) == SURVIVED else "noticed")


def _kept() -> dict[str, str]:
    """What earlier runs found of the same code and tests."""
    return {digest: state for digest, state, _ in _lines()}


def _lines() -> list[tuple[str, str, str]]:
    """Of each mutant that was tried: its digest, what became of it, its name."""
    return [tuple(json.loads(line)) for line in KEPT.read_text("utf-8").splitlines()] if KEPT.exists() else []


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
