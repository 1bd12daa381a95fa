"""On whose account something happens: the position in a trace, and who records it.

It travels with the context of a task or thread (`contextvars`), as the names of jobs in the log do, so that rooms
which know nothing of jobs can tell what they do. Nobody looks unless the composition root has said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from noyau.domain.meters import Meter
from noyau.domain.tracing import SilentTracer, TraceContext, Tracer


@dataclass(frozen=True)
class Scope:
    """What is known where something happens.

    Attributes:
        trace: the position in a trace; None where there is none.
        tracer: records spans.
        meter: adds up; None where nobody asks for it.
    """

    trace: TraceContext | None = None
    tracer: Tracer = field(default_factory=SilentTracer)
    meter: Meter | None = None

    def at(self, trace: TraceContext | None) -> Scope:
        """The same at another position."""
        return replace(self, trace=trace)


_CURRENT: ContextVar[Scope | None] = ContextVar("noyau_scope", default=None)


def current() -> Scope:
    """The scope of this task or thread; one where nobody looks if none was entered."""
    return _CURRENT.get() or Scope()


@contextmanager
def within(scope: Scope) -> Iterator[None]:
    """Makes a scope the current one."""
    token = _CURRENT.set(scope)
    try:
        yield
    finally:
        _CURRENT.reset(token)
