"""Logging to standard error: structlog and the standard library through one formatter, for people or as JSON."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

# Never the values of variables: they may hold a password, and pixels of users.
_traceback = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logging(format: Literal["auto", "console", "json"] = "auto", level: str = "info") -> None:
    """Sets up logging for this process; a second call replaces the first.

    Args:
        format: `console` for people, `json` with one object per line for machines, `auto` by whether standard error
            is a terminal.
        level: least severe level that is written: debug, info, warning or error.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    for_people = format == "console" or (format == "auto" and sys.stderr.isatty())
    last: list[Any]
    if for_people:
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    else:
        last = [structlog.processors.ExceptionRenderer(_traceback), structlog.processors.JSONRenderer()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
