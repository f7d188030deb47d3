"""Commands that are declared in one place and done in another, so that help and wrong use load no engine.

A module of `scanner.app.commands` declares a command: its options and what its help says. What it does stands in
`scanner.app.handlers`, whose modules import what they need at their top, and which are imported when they are called.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from scanner.formats import load


def done_by(reference: str) -> Callable[[Callable[[], None]], Callable[..., Any]]:
    """Have a declared command done by `module:function`, which is given the values of its options by name.

    A test holds the two together: each parameter of the function is an option of the command, and the reverse.
    """

    def decorate(declared: Callable[[], None]) -> Callable[..., Any]:
        @functools.wraps(declared)
        def call(**values: Any) -> Any:
            return load(reference)(**values)

        call.done_by = reference  # type: ignore[attr-defined]  # for the test
        return call

    return decorate
