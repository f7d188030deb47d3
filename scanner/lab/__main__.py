"""`python -m scanner.lab`: serves all cases, says where in one line of JSON, and stops when told or when orphaned."""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from scanner.lab.assembly import assemble
from scanner.lab.cases import CASES


def main(arguments: list[str] | None = None) -> int:
    """Run the lab until SIGTERM, SIGINT, the end of standard input where that is a pipe, or the parent's end."""
    parser = argparse.ArgumentParser(prog="python -m scanner.lab", description=__doc__)
    parser.add_argument("--directory", type=Path, help="where the certificates are written (default: a temporary one)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="serve this case; repeatable")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.only) - {case.name for case in CASES})
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    cases = [case for case in CASES if not options.only or case.name in options.only]

    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    with ExitStack() as cleanup:
        directory = options.directory or Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="nightseal-lab-"))
        )
        directory.mkdir(parents=True, exist_ok=True)
        servers, manifest = assemble(cases, directory, cleanup)
        sys.stdout.write(manifest.to_json() + "\n")
        sys.stdout.flush()
        # A pipe was given by a program, which may be killed; a terminal or /dev/null says nothing by its end. The
        # parent's end is watched too, because a child that it forked may hold the pipe open.
        piped = stat.S_ISFIFO(os.fstat(0).st_mode)
        servers.run(end=0 if piped else None, should_stop=lambda: piped and os.getppid() != parent)
    return 0


def _exit(_number: int, _frame: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
