"""Lists of which a server picks one at a time: how to offer them until all that it accepts has shown.

Two ways. A `Remainder` is offered without what was accepted already, until it is refused: that finds everything, at
one question for each, whatever the server's order. A `Rotation` costs nothing: it always offers everything, what has
not shown first, along with questions that are asked anyway; a server that goes by the client's order shows all of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct, field

from scanner.evidence import Failure, FailureReason
from scanner.probe.survey.server_flight import HelloResult, Refusal, ServerFlight


class Rotation(Struct):
    """A list that is always offered whole, with what the server has not chosen yet in front.

    `complete` is set once it is proven that nothing more is accepted: the server chose otherwise when the order was
    changed, so it goes by the client's, and yet it passed over all that stood in front.
    """

    unseen: list[int]
    seen: list[int] = field(default_factory=list)
    complete: bool = False

    @property
    def offered(self) -> tuple[int, ...]:
        """The whole list, in the order to offer it next."""
        return (*self.unseen, *self.seen)

    def note(self, chosen: int | None) -> None:
        """Take note of the server's choice from what was offered last."""
        if chosen in self.unseen:
            self.unseen.remove(chosen)
            self.seen.append(chosen)
        elif chosen in self.seen and len(self.seen) > 1:
            self.complete = True


class Remainder(Struct):
    """What is left of a list to be offered, and what of it was accepted, in the order in which the server chose.

    `later` are further lists, for after this one's end, where one hello cannot hold all. `refused` is what was left at
    the end; `failure` is set where the server does not keep to what it is offered.
    """

    left: list[int]
    accepted: list[int] = field(default_factory=list)
    later: list[list[int]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    failure: Failure | None = None

    @property
    def offered(self) -> list[int]:
        """What to offer next: the rest, or once that is at its end, what cannot be refused."""
        return self.left or self.accepted

    def note(self, chosen: int | None) -> None:
        """Take note of the server's choice."""
        if not self.left:
            return
        if chosen in self.left:
            self.left.remove(chosen)
            self.accepted.append(chosen)
            if not self.left:
                self.end()
        else:
            told = (
                "chose none of what was offered" if chosen is None else f"chose 0x{chosen:04X}, which was not offered"
            )
            self.failure = Failure.of(FailureReason.INCONSISTENT, f"the server {told}")
            self.later.clear()
            self.end()

    def end(self) -> None:
        """Nothing that is left of this list is accepted."""
        self.refused += self.left
        self.left = self.later.pop(0) if self.later else []


async def shrink(
    one: Remainder,
    other: Remainder,
    ask: Callable[[Sequence[int], Sequence[int]], Awaitable[HelloResult]],
    chosen: Callable[[ServerFlight], tuple[int | None, int | None]],
) -> Failure | None:
    """Shrink two lists at once, which show in the same answer and do not depend on each other.

    `ask` offers some of both, `chosen` reads what the server picked of each. When it refuses, one more question tells
    which of the two is at its end. Returns the failure that broke it off, if one did.
    """
    while one.left or other.left:
        outcome = await ask(one.offered, other.offered)
        if isinstance(outcome, Refusal) and one.left and other.left and one.accepted:
            outcome = await ask(one.accepted, other.left)
            if isinstance(outcome, ServerFlight):
                one.end()
                other.note(chosen(outcome)[1])
            elif isinstance(outcome, Refusal):
                other.end()
        elif isinstance(outcome, Refusal):
            one.end()
            other.end()
        elif isinstance(outcome, ServerFlight):
            first, second = chosen(outcome)
            one.note(first)
            other.note(second)
        if isinstance(outcome, Failure):
            return outcome
    return None
