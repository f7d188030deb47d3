"""One message to one receiver, and how it is marked: all that whatever sends it needs to know."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

_UNDRAWN: Final = "Not all reports were drawn yet when this was sent."


class Level(StrEnum):
    """How a message is marked, where the receiver shows marks. The names are Apprise's."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"
    INFO = "info"


class Message(Struct, frozen=True):
    """What is sent. `files` come along where the receiver takes them."""

    level: Level
    title: str
    text: str
    html: str
    files: tuple[str, ...] = ()


def before_its_reports(message: Message) -> Message:
    """A message that waited for its reports as long as one may, and goes with those that are there."""
    html = message.html.replace("</body>", f"<p>{_UNDRAWN}</p>\n</body>", 1)
    return structs.replace(message, text=f"{message.text}\n{_UNDRAWN}\n", html=html)
