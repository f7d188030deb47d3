"""Which clients cannot connect, as a report shows it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from reports.view.target_model import TargetRef


class ClientView(Struct, frozen=True):
    """A client that cannot connect somewhere: to these targets, for this reason.

    `supported` is whether its vendor still mends it, None where nobody knows.
    """

    title: str
    platform: str
    supported: bool | None
    why: str
    targets: tuple[TargetRef, ...]


class ClientsView(Struct, frozen=True):
    """What becomes of the clients that matter most, at the targets whose TLS was seen.

    `everywhere` is how many connect to all of them, `unclear` of how many that is not known for each target, and none
    is known to fail.
    """

    clients: int
    targets: int
    everywhere: int
    unclear: int
    cut_off: tuple[ClientView, ...]

    @property
    def alive(self) -> tuple[ClientView, ...]:
        """Those cut off that their vendors may still mend."""
        return tuple(item for item in self.cut_off if item.supported is not False)

    @property
    def old(self) -> tuple[ClientView, ...]:
        """Those cut off that nobody mends any more."""
        return tuple(item for item in self.cut_off if item.supported is False)

    @property
    def alive_by_cause(self) -> tuple[tuple[str, tuple[TargetRef, ...], tuple[str, ...]], ...]:
        """The reasons for which those of `alive` are cut off, each with where, and with their titles.

        A server that is misconfigured cuts dozens off for one reason: on paper that is one row.
        """
        titles: dict[tuple[str, tuple[TargetRef, ...]], list[str]] = defaultdict(list)
        for item in self.alive:
            titles[item.why, item.targets].append(item.title)
        return tuple((why, targets, tuple(found)) for (why, targets), found in titles.items())
