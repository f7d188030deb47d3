"""The process of one attempt at one start (`scanner.service.attempt`), as the service begins it and finds it again.

The server of the workers is forked first of all, as a command's is: both load side by side what only one of them needs,
and once what both do.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scanner import forkserver, inherited
from scanner.formats import load
from scanner.loading import everything_kept


def main() -> int:
    """Run the attempt that the service has claimed; its exit status is the run's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--start", type=int, required=True)
    parser.add_argument("--recover", action="store_true")
    arguments = parser.parse_args()
    inherited.note()
    if not arguments.recover:
        forkserver.begin(first=True)
    with everything_kept():
        attempt = load("scanner.service.attempt:run")
    status: int = attempt(**vars(arguments))
    return status


if __name__ == "__main__":
    sys.exit(main())
