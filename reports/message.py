"""One message to one receiver, and how it is marked: all that whatever sends it needs to know."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


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
