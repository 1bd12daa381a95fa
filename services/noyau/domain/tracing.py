"""Which trace a call or a job belongs to: the header `traceparent` of W3C Trace Context, and what records spans.

https://www.w3.org/TR/trace-context-1/#traceparent-header. Who records spans, if anybody, is the composition root's
business; the rooms only name what they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

HEADER = "traceparent"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

Attributes = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class TraceContext:
    """A position in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits, the same for all that belongs together.
        span_id: 16 hexadecimal digits, of the span that what follows lies under.
        sampled: whether the trace is recorded.
    """

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def header(self) -> str:
        """As `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    @classmethod
    def parse(cls, text: str) -> TraceContext | None:
        """Reads `traceparent`; None where it is none, which the standard says to ignore."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        version, trace, span, flags, more = found.groups()
        if version == "ff" or (version == "00" and more) or set(trace) == {"0"} or set(span) == {"0"}:
            return None
        return cls(trace, span, bool(int(flags, 16) & 1))


class Span(Protocol):
    """Something under way."""

    @property
    def context(self) -> TraceContext | None:
        """Its position, for what happens elsewhere on its account; None where nothing is recorded."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Adds facts; never secrets, pixels or texts of users."""
        ...


class Tracer(Protocol):
    """Records what takes how long. Safe to use from several threads."""

    def span(
        self, name: str, parent: TraceContext | None, attributes: Attributes | None = None, kind: str = "internal"
    ) -> AbstractContextManager[Span]:
        """A span from entry to exit; an exception that leaves it marks it as failed.

        Args:
            name: what is done, from a small set.
            parent: what it is a part of; None begins a trace.
            attributes: facts.
            kind: `internal`, `client` or `server`.
        """
        ...

    def record(
        self, name: str, parent: TraceContext | None, start_ns: int, end_ns: int, attributes: Attributes | None = None
    ) -> None:
        """A span that has ended already; times in nanoseconds since 1970."""
        ...

    def close(self) -> None:
        """Sends what has not been sent yet."""
        ...


@dataclass(frozen=True)
class SilentSpan:
    """A span that nobody records; hands on the position that it was given, so that others may."""

    context: TraceContext | None = None

    def set(self, attributes: Attributes) -> None: ...


class SilentTracer:
    """A Tracer that records nothing."""

    @contextmanager
    def span(
        self, name: str, parent: TraceContext | None, attributes: Attributes | None = None, kind: str = "internal"
    ) -> Iterator[Span]:
        yield SilentSpan(parent)

    def record(
        self, name: str, parent: TraceContext | None, start_ns: int, end_ns: int, attributes: Attributes | None = None
    ) -> None: ...

    def close(self) -> None: ...
