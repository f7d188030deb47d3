"""Log lines for people or for machines, each with the run that it is about.

Whatever is logged by the standard library's loggers, ours or a library's, takes the same form. A line is a sentence for
people; what a program would look for in it (which schedule, which receiver, how late) are its named arguments, which
are fields of their own in JSON: `log.info("%(schedule)s: next start %(due)s", {"schedule": …, "due": …})`.
"""

from __future__ import annotations

import logging
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from scanner.confidential import HidingFormatter

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

LogForm = Literal["human", "json"]
# Local variables hold receivers' addresses with their secrets.
_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
_PLAIN_TRACEBACKS = structlog.dev.plain_traceback


def form_of(config_path: Path) -> LogForm:
    """The form that a configuration asks for, also where it is refused for something else; by default `human`."""
    try:
        said = tomllib.loads(config_path.read_text("utf-8-sig")).get("daemon", {}).get("log")
    except (OSError, ValueError, AttributeError):
        return "human"
    return "json" if said == "json" else "human"


_NAMED = "named_arguments"


def _keep_named_arguments(record: logging.LogRecord) -> bool:
    """Remember a line's named arguments: formatting it uses them up."""
    if isinstance(record.args, Mapping):
        setattr(record, _NAMED, dict(record.args))
    return True


def configure(form: LogForm, *, about: Mapping[str, str] | None = None, level: int = logging.INFO) -> None:
    """Log to stderr in this form from now on.

    Args:
        form: `human` for a line that is read, `json` for one that is parsed.
        about: what stands in every line of this process, such as the run's id.
        level: the lowest level of our own lines; the libraries' warnings are always shown.
    """
    fixed = dict(about or {})
    human = form == "human"

    def add_fixed(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        named = {name: value for name, value in event.pop(_NAMED, {}).items() if value is not None}
        # People read the sentence, which says it all but which run it is about.
        shown = {name: value for name, value in named.items() if not human or name == "run"}
        return {**fixed, **shown, **event}

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
    handler.addFilter(_keep_named_arguments)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("nightseal").setLevel(level)
    # Its warnings repeat what the service says itself.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
