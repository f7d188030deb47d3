"""Sends a message to a receiver through Apprise, in a process that ends when it takes too long.

Run as a program it reads one delivery as JSON from stdin and prints its outcome as JSON. The secrets in receivers'
addresses come by stdin alone and are taken out of whatever is said about a failure.
"""

from __future__ import annotations

import functools
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, structs

from reports.message import Level, Message
from scanner import confidential
from scanner.untrusted import printable

TIMEOUT_S: Final = 90.0
"""After so many seconds a delivery has failed; a receiver that answers a byte at a time would hold it for ever."""
MOST_BYTES: Final = 15_000_000
"""Larger files do not come along: mail servers would refuse them."""
_REASON_LENGTH: Final = 500
_ROOM_FOR_A_PAGE: Final = 20_000


class Delivery(Struct, frozen=True):
    """What became of it. `reason` says why it failed."""

    delivered: bool
    reason: str = ""


def problem_of(url: str) -> str | None:
    """What is wrong with a receiver's address; None where nothing is."""
    return None if _plugin(url) else "is not an address that Apprise knows"


@functools.cache
def takes_files(url: str) -> bool:
    """Whether the receiver at an address takes files along with a message; so it is where that is not known."""
    plugin = _plugin(url)
    return plugin is None or bool(plugin.attachment_support)


def deliver(url: str, message: Message, *, timeout_s: float = TIMEOUT_S) -> Delivery:
    """Send a message and wait for the outcome."""
    order = json.dumps({"url": url, "message": structs.asdict(message)})
    try:
        done = subprocess.run(  # this interpreter, with our own module
            [sys.executable, "-m", "reports.deliver"],
            input=order,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Delivery(delivered=False, reason=f"no end within {timeout_s:g} s")
    try:
        answer = json.loads(done.stdout)
        return Delivery(bool(answer["delivered"]), str(answer["reason"]))
    except (ValueError, KeyError, TypeError):
        return Delivery(delivered=False, reason=f"the sender ended with status {done.returncode}")


def _apprise() -> Any:
    import apprise  # noqa: PLC0415  # takes half a second to load

    return apprise


def send(url: str, message: Message) -> Delivery:
    """Send a message from this process."""
    apprise, plugin = _apprise(), _plugin(url)
    if plugin is None:
        return Delivery(delivered=False, reason="is not an address that Apprise knows")
    # Chat services call their few tags HTML too; mail is what has room for a page.
    wants_html = plugin.notify_format[0] == apprise.NotifyFormat.HTML and plugin.body_maxlen >= _ROOM_FOR_A_PAGE
    sender = apprise.Apprise()
    sender.add(plugin)
    with apprise.LogCapture(level=apprise.logging.INFO, fmt="%(message)s") as log:
        delivered = sender.notify(
            title=message.title,
            body=message.html if wants_html else message.text,
            body_format=apprise.NotifyFormat.HTML if wants_html else apprise.NotifyFormat.TEXT,
            notify_type=apprise.NotifyType(message.level.value),
            attach=_files(message.files) if plugin.attachment_support else None,
        )
        said = [line for line in log.getvalue().splitlines() if not line.startswith("Notifying ")]
    if delivered:
        return Delivery(delivered=True)
    return Delivery(
        delivered=False, reason=_without_secrets("; ".join(said[-4:]), url, plugin) or "no reason was given"
    )


def _plugin(url: str) -> Any:
    """What Apprise makes of an address; None where it makes nothing of it."""
    # Apprise logs addresses that it does not know as they are, with the passwords in them.
    log = logging.getLogger("apprise")
    log.propagate = False
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return _apprise().Apprise.instantiate(url, suppress_exceptions=True)


def _files(names: Sequence[str]) -> list[str]:
    """The files that are still there and small enough to be sent."""
    return [name for name in names if (path := Path(name)).is_file() and path.stat().st_size <= MOST_BYTES]


def _without_secrets(text: str, url: str, plugin: Any) -> str:
    confidential.keep_parts(url)
    confidential.keep(str(part) for name in ("password", "token", "fullpath") if (part := getattr(plugin, name, None)))
    text = confidential.without(text)
    return printable(text)[:_REASON_LENGTH]


def main() -> None:
    """Send what stdin holds."""
    order = json.load(sys.stdin)
    raw = order["message"]
    message = Message(**{**raw, "files": tuple(raw["files"]), "level": Level(raw["level"])})
    print(json.dumps(structs.asdict(send(order["url"], message))))  # noqa: T201  # the answer to whoever started this process


if __name__ == "__main__":
    main()
