"""What the code that does a job is given, and what it must look like.

`jobs` knows no pipeline: handlers come in by an import string (`noyau.main:build_handlers`) that worker processes
resolve. The function is called once per process with the settings of `WorkerConfig` and returns handlers by kind, so
that models can stay warm between jobs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from noyau.domain.errors import InvalidInput
from noyau.domain.jobs import JobResult, JobSpec
from noyau.domain.progress import Reporter, UnitLedger
from noyau.domain.tracing import SilentTracer, Tracer


@dataclass(frozen=True)
class JobContext:
    """What a handler may use.

    Attributes:
        job_id: the job, for names of scratch and staging places.
        reporter: takes progress; its `check` raises JobCancelled when the job should stop.
        ledger: durable record of finished units; those are not to be done again.
        workdir: scratch folder of this job; it survives a crash and is removed when the job ends.
        owner: of the job.
        attempt: how often the job was started, this time included.
    """

    job_id: str
    reporter: Reporter
    ledger: UnitLedger
    workdir: Path
    owner: str = ""
    attempt: int = 0


class Handler(Protocol):
    """Does one kind of job. It may be killed at any moment and called again for the same job.

    When it fails, it must not remove what its ledger calls finished: if the process died before the failure is
    recorded, the next worker would count on it. That is the task of `CleaningHandler.cleanup`, which runs when the end
    of the job is on record.
    """

    def __call__(self, spec: Any, context: JobContext, /) -> JobResult: ...


@runtime_checkable
class CleaningHandler(Protocol):
    """A handler that can also remove what a cancelled or failed job has half written. Must bear being repeated."""

    def cleanup(self, spec: Any, context: JobContext, /) -> None: ...


Handlers = Mapping[str, Handler]
"""Handlers by kind (`noyau.jobs.codec.KINDS`)."""

BuildHandlers = Callable[[Mapping[str, Any]], Handlers]


def load_handlers(target: str, settings: Mapping[str, Any]) -> Handlers:
    """Imports `module:function` and calls it with the settings.

    Raises:
        InvalidInput: the text does not name a function.
    """
    build: BuildHandlers = _function(target, "handlers")
    return build(settings)


def load_tracer(target: str, settings: Mapping[str, Any]) -> Tracer:
    """The same for what records spans; nothing does where the text is empty.

    Raises:
        InvalidInput: the text does not name a function.
    """
    if not target:
        return SilentTracer()
    build: Callable[[Mapping[str, Any]], Tracer] = _function(target, "a tracer")
    return build(settings)


def _function(target: str, what: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(f"{target!r} does not name a function that makes {what}.", str(error)) from error


def do_cleanup(handler: Handler | None, spec: JobSpec, context: JobContext) -> None:
    """Calls the handler's `cleanup` where it has one."""
    if isinstance(handler, CleaningHandler):
        handler.cleanup(spec, context)
