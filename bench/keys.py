"""What it takes to compare the keys of a run with all that were ever seen.

    python bench/keys.py --keys 20000

Processor time and memory of what a run does at its end, in a process of its own each time, as a run is: with the first
keys, then with one new key, with one that shares a prime with a known one, and with none. The moduli have 2048 bits and
share nothing; they are products of short primes, because to make so many keys takes hours, and to compare them does not
depend on what their factors are.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import gmpy2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scanner.known_keys import FILE, KnownKeys, SeenKey

_FIXED: Final = random.Random(5)  # noqa: S311  # the same keys each time
_PRIMES: Final = 32
_TIMES: Final = 5


def main() -> None:
    """Measure, and print lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keys", type=int, default=20_000)
    arguments = parser.parse_args()
    print("command:", "python", *sys.argv)
    print("busy before:", ", ".join(f"{load:.1f}" for load in os.getloadavg()), "processes in 1, 5, 15 minutes")
    known = [modulus() for _ in range(arguments.keys)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        print(
            f"first {len(known)} keys: {told([compared(path, known)])}; {path.stat().st_size / 2**20:.1f} MiB on disk"
        )
        print(f"one new key: {told([compared(path, [modulus()]) for _ in range(_TIMES)])}")
        print(f"no new key: {told([compared(path, known[:1]) for _ in range(_TIMES)])}")
        shared = [int(gmpy2.mpz(one) * short_prime()) for one in known[:_TIMES]]
        print(f"one that shares a factor: {told([compared(path, [one]) for one in shared])}")


def modulus() -> int:
    """A number of about 2048 bits that shares no factor with another."""
    found = gmpy2.mpz(1)
    for _ in range(_PRIMES):
        found *= short_prime()
    return int(found)


def short_prime() -> int:
    """A prime of 64 bits."""
    return int(gmpy2.next_prime(_FIXED.getrandbits(64) | 1 << 63))


def compared(path: Path, moduli: Sequence[int]) -> tuple[float, int, int]:
    """Seconds, bytes and how many were told of, of one run's keys."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(compare, path, moduli).result()


def compare(path: Path, moduli: Sequence[int]) -> tuple[float, int, int]:
    """In a process of its own."""
    keys = [SeenKey(number, f"{number % 2**64:064x}", "e/h.example:443") for number in moduli]
    before, most = used()
    told = KnownKeys(path).compare(keys, datetime.now(UTC))
    after, grown = used()
    return after - before, grown - most, len(told)


def used() -> tuple[float, int]:
    """Processor time, and the most memory so far."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime, found.ru_maxrss * 1024


def told(found: Sequence[tuple[float, int, int]]) -> str:
    """The middle of some measurements."""
    seconds, grown = (statistics.median(item[place] for item in found) for place in (0, 1))
    return f"{seconds * 1000:.0f} ms of processor time, {grown / 2**20:.0f} MiB, {found[0][2]} told of"


if __name__ == "__main__":
    main()
