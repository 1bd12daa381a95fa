"""The spans of one job in its worker: how long it waited, the attempt, and the stages in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from noyau.domain.jobs import Job
from noyau.domain.observing import Scope, within
from noyau.domain.tracing import Attributes, SilentTracer, TraceContext, Tracer
from noyau.jobs.codec import kind_of


class StageSpans:
    """A span for every stage, which lasts until the next one begins. One thread at a time may call."""

    def __init__(self) -> None:
        self._tracer: Tracer = SilentTracer()
        self._parent: TraceContext | None = None
        self._stage: tuple[str, int] | None = None

    def open(self, tracer: Tracer, parent: TraceContext | None) -> None:
        """From now on stages lie under `parent`."""
        self._tracer, self._parent = tracer, parent

    def begin(self, name: str) -> None:
        """Ends the stage that is under way and begins another."""
        self.end()
        self._stage = (name, time.time_ns())

    def end(self) -> None:
        """Ends the stage that is under way."""
        if self._stage is not None:
            name, began = self._stage
            self._tracer.record(f"stage {name}", self._parent, began, time.time_ns())
            self._stage = None


@contextmanager
def observed(job: Job, scope: Scope, stages: StageSpans) -> Iterator[None]:
    """What runs inside is on account of the job: its log lines name it, its spans lie under its submission.

    Args:
        job: as it was claimed.
        scope: who records.
        stages: told of the stages.
    """
    kind = kind_of(job.spec)
    submitted = TraceContext.parse(job.trace)
    facts: Attributes = {
        "noyau.job": job.id,
        "noyau.kind": kind,
        "noyau.group": job.group,
        "noyau.attempt": job.attempts,
    }
    if job.attempts == 1 and job.created is not None:
        # How long it waited again after its worker died is not known.
        scope.tracer.record("queue", submitted, int(job.created.timestamp() * 1e9), time.time_ns(), facts)
    with scope.tracer.span(f"job {kind}", submitted, facts) as span:
        stages.open(scope.tracer, span.context)
        names = {"job": job.id, "kind": kind, "group": job.group, "attempt": job.attempts}
        if span.context is not None:
            names["trace"] = span.context.trace_id
        with structlog.contextvars.bound_contextvars(**names), within(scope.at(span.context)):
            try:
                yield
            finally:
                stages.end()
