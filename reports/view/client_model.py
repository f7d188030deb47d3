"""Which clients cannot connect, as a report shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.view.model import TargetRef


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client that cannot connect somewhere: to these targets, for this reason.

    `supported` is whether its vendor still mends it, None where nobody knows.
    """

    title: str
    platform: str
    supported: bool | None
    why: str
    targets: tuple[TargetRef, ...]


@dataclass(frozen=True, slots=True)
class ClientsView:
    """What becomes of the clients that matter most, at the targets whose TLS was seen.

    `everywhere` is how many connect to all of them, `unclear` of how many that is not known for each target, and none
    is known to fail.
    """

    clients: int
    targets: int
    everywhere: int
    unclear: int
    cut_off: tuple[ClientView, ...]
