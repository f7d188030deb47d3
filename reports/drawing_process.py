"""Draws a PDF in a process of its own.

What layout takes of memory is given back as that process ends, and it starts without the run in its memory. It is given
its order by stdin: a line of JSON that says how long the parts are that follow. It ends when whoever started it does.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from reports.packing import Attachment, Packed
from scanner.errors import OutputError
from scanner.formats import load
from scanner.untrusted import printable

PANGO_PACKAGES: Final = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
NO_LIBRARIES: Final = (
    "a PDF cannot be drawn, because the libraries of Pango are not installed; "
    f"this installs them: sudo apt-get install -y --no-install-recommends {PANGO_PACKAGES}"
)
_LIBRARIES_ARE_MISSING: Final = 3
_BEGIN: Final = "import sys; sys.path[:] = sys.argv[1:]; from reports.drawing_process import main; main()"
_REASON_LENGTH: Final = 300
_LOG = logging.getLogger(__name__)


def lay_out_apart(  # those of `lay_out`, and how it is done
    html: str,
    *,
    folders: Sequence[Path],
    identifier: str,
    moment: datetime,
    attachments: Sequence[Attachment],
) -> bytes:
    """`reports.paper.lay_out` in a process of its own, whose bytes are the same.

    Raises:
        OutputError: the libraries of Pango are not installed, or the process did not end as it should.
    """
    page, packed = html.encode(), [item.packed for item in attachments]
    order = {
        "page": len(page),
        "folders": [str(folder.absolute()) for folder in folders],
        "identifier": identifier,
        "moment": moment.isoformat(),
        "attachments": [
            {"name": item.name, "description": item.description, "packed": len(file.content)}
            | {"size": file.size, "md5": file.md5, "sha256": file.sha256}
            for item, file in zip(attachments, packed, strict=True)
        ],
    }
    parts = [json.dumps(order).encode() + b"\n", page, *(file.content for file in packed)]
    with tempfile.TemporaryFile() as drawn, tempfile.TemporaryFile() as said:
        status = _done(parts, drawn, said)
        if status == 0:
            drawn.seek(0)
            return drawn.read()
        said.seek(0)
        _LOG.debug("the process that draws ended with %d: %s", status, said.read().decode(errors="replace"))
        if status == _LIBRARIES_ARE_MISSING:
            raise OutputError(NO_LIBRARIES)
        raise OutputError(f"a PDF cannot be drawn: {_reason(status, said)}")


def _done(parts: Sequence[bytes], drawn: IO[bytes], said: IO[bytes]) -> int:
    """Have it drawn; the status of the process."""
    command = [sys.executable, "-P", "-c", _BEGIN, *sys.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=drawn, stderr=said) as process:  # noqa: S603  # this very interpreter
        assert process.stdin is not None  # noqa: S101  # it is a pipe
        try:
            for part in parts:
                process.stdin.write(part)
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it says why itself
        try:
            # Its stdin stays open until it ends: that it closes before tells it that nobody waits any more.
            return process.wait()
        except BaseException:
            process.kill()
            raise


def _reason(status: int, said: IO[bytes]) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        return f"the process that draws it was ended by {name}, as the kernel does where memory is short"
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return printable(lines[-1] if lines else f"the process that draws it ended with {status}", _REASON_LENGTH)


def main() -> None:
    """Draw what stdin asks for, and write it to stdout."""
    # Ctrl-C is for whoever started it, which ends it then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is laid out is kept until the end, so there is nothing to collect.
    gc.disable()
    try:
        # It loads Pango, which may be missing.
        lay_out_into = load("reports.paper:lay_out_into")
    except OSError:
        sys.exit(_LIBRARIES_ARE_MISSING)
    source = sys.stdin.buffer
    order = json.loads(source.readline())
    page = source.read(order["page"]).decode()
    attachments = [_attachment(item, source) for item in order["attachments"]]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lay_out_into(
        sys.stdout.buffer,
        page,
        folders=[Path(folder) for folder in order["folders"]],
        identifier=order["identifier"],
        moment=datetime.fromisoformat(order["moment"]),
        attachments=attachments,
    )
    sys.stdout.buffer.flush()
    # Taking apart what was laid out, box by box, takes longer than it is worth.
    os._exit(0)


def _attachment(item: dict[str, Any], source: IO[bytes]) -> Attachment:
    packed = Packed(source.read(item["packed"]), item["size"], item["md5"], item["sha256"])
    return Attachment(item["name"], packed, item["description"])


def _end_with_parent() -> None:
    """End when the other end of stdin is closed: whoever was to get the PDF is there no longer."""
    while os.read(0, 1):
        pass
    os._exit(1)
