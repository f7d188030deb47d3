"""Commands that are declared in one place and done in another, so that help and wrong use load no engine.

A module of `scanner.app.commands` declares a command: its options and what its help says. What it does stands in
`scanner.app.handlers`, whose modules import what they need at their top, and which are imported when they are called.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from scanner import forkserver
from scanner.formats import load
from scanner.loading import everything_kept

EMPTY: Final = "is empty (is a variable of the shell not set?)"


def done_by(
    reference: str, *, scans: bool = False, instead: Mapping[str, str] | None = None
) -> Callable[[Callable[[], None]], Callable[..., Any]]:
    """Have a declared command done by `module:function`, which is given the values of its options by name.

    A test holds the two together: each parameter of the function is an option of the command, and the reverse.

    Args:
        reference: what does it.
        scans: whether it needs worker processes: what they load is then loaded beside what the function needs.
        instead: what does it where an option is given, by the option; that needs no worker processes.
    """

    def decorate(declared: Callable[[], None]) -> Callable[..., Any]:
        @functools.wraps(declared)
        def call(**values: Any) -> Any:
            refuse_empty(values)
            other = next((other for option, other in (instead or {}).items() if values[option]), None)
            if scans and other is None:
                forkserver.begin(first=True)
            with everything_kept():
                function = load(other or reference)
            return function(**values)

        call.done_by = reference  # type: ignore[attr-defined]  # for the test
        call.instead = instead or {}  # type: ignore[attr-defined]  # the same
        return call

    return decorate


def refuse_empty(values: Mapping[str, Any]) -> None:
    """See that no option is empty, as a variable of the shell that is not set makes it.

    It would be taken for an option that was not given: a scan would go past the proxy that was meant, a change that was
    to be tried would cut off nobody.
    """
    context = click.get_current_context(silent=True)
    for option in context.command.params if context else ():
        value = values.get(option.name or "")
        if isinstance(option, click.Option) and isinstance(value, str) and not value.strip():
            raise click.BadParameter(EMPTY, ctx=context, param=option)
