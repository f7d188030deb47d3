"""Log lines for people or for machines, each with the run that it is about.

Whatever is logged by the standard library's loggers, ours or a library's, takes the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal

import structlog

from scanner.confidential import HidingFormatter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict, Processor, WrappedLogger

LogForm = Literal["human", "json"]
# Local variables hold receivers' addresses with their secrets.
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
_PLAIN_TRACEBACKS = structlog.dev.plain_traceback


def configure(form: LogForm, *, about: Mapping[str, str] | None = None, level: int = logging.INFO) -> None:
    """Log to stderr in this form from now on.

    Args:
        form: `human` for a line that is read, `json` for one that is parsed.
        about: what stands in every line of this process, such as the run's id.
        level: the lowest level of our own lines; the libraries' warnings are always shown.
    """
    fixed = dict(about or {})

    def add_fixed(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**fixed, **event}

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        add_fixed,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.processors.ExceptionRenderer(_TRACEBACKS), structlog.processors.JSONRenderer(sort_keys=True)]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=_PLAIN_TRACEBACKS)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(HidingFormatter(formatter))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("nightseal").setLevel(level)
    # Its warnings repeat what the service says itself.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
