"""`python -m scanner.lab.hostile FOLDER [NAME]...`: serves hostile behaviours until standard input ends."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from scanner.lab.hostile.serving import serve


async def _until_the_end(folder: Path, names: list[str]) -> None:
    await serve(folder, names)
    os._exit(0)  # connections that nobody ends are not waited for


if __name__ == "__main__":
    asyncio.run(_until_the_end(Path(sys.argv[1]), sys.argv[2:]))
