"""Runs one claimed job from its handler's start to the removal of its leftovers."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from noyau.domain.errors import JobCancelled, NoyauError
from noyau.domain.jobs import EventKind, Job, JobError, JobResult, JobState
from noyau.domain.observing import Scope
from noyau.domain.progress import SilentReporter
from noyau.jobs.context import Handler, JobContext, do_cleanup
from noyau.jobs.continuing import take_up
from noyau.jobs.failures import explain
from noyau.jobs.heartbeat import Heartbeat
from noyau.jobs.lease import Lease, LeaseLost
from noyau.jobs.ledger import StoreLedger
from noyau.jobs.patience import Result, patiently
from noyau.jobs.reporting import StoreReporter
from noyau.jobs.settings import JobTimes
from noyau.jobs.store import JobStore
from noyau.jobs.tracing import StageSpans, observed

_LOG = logging.getLogger(__name__)
EXIT_LEASE_LOST = 75
"""Exit status of a worker whose job has a new owner."""


def end_process() -> None:
    """Ends the process without unwinding.

    The handler must not see an exception here: it would remove half-written output, which by now belongs to the
    worker that took the job over.
    """
    os._exit(EXIT_LEASE_LOST)


class JobRunner:
    """Runs jobs of one worker, one after the other.

    Args:
        store: where the jobs come from.
        workdir: folder of the scratch folders.
        times: periods.
        lost: what to do when a lease is gone; does not return in a worker process.
        scope: who records spans and adds up what is used; by default nobody.
    """

    def __init__(
        self,
        store: JobStore,
        workdir: Path,
        times: JobTimes,
        lost: Callable[[], None] = end_process,
        scope: Scope | None = None,
    ) -> None:
        self._scope = scope or Scope()
        self._store = store
        self._workdir = workdir
        self._times = times
        self._lost = lost

    def run(self, lease: Lease, handler: Handler) -> None:
        """Runs the job and records how it ended. Never raises on account of the handler."""
        job = lease.job
        cancelled = threading.Event()
        stages = StageSpans()
        reporter = StoreReporter(lambda kind, payload: self._append(lease, kind, payload), cancelled, stages.begin)
        ledger = _GuardedLedger(self._store.ledger(lease), self._surely)
        context = JobContext(job.id, reporter, ledger, self._workdir / job.id, job.owner, job.attempts)
        beat = Heartbeat(self._store, lease, self._times, cancelled=cancelled, lost=self._lost, every=reporter.flush)
        try:
            with observed(job, self._scope, stages), beat:
                _LOG.info("job %s begins", job.id)
                state, result, error = _call(handler, context, job, ledger.forget)
                _LOG.info("job %s has ended: %s", job.id, state.value)
                reporter.flush(force=True)
                reporter.use(self._scope.meter.take() if self._scope.meter is not None else {})
            # After the heartbeat, which would take the end of the job for the loss of its lease.
            self._finish(lease, state, result, error)
        except LeaseLost:
            return  # only where `lost` comes back, as in tests
        self.clean(job, handler if state is not JobState.SUCCEEDED else None)

    def clean(self, job: Job, handler: Handler | None) -> None:
        """Removes what an ended job left behind. A failure is logged, and a worker tries again later."""
        context = JobContext(job.id, SilentReporter(), _NoLedger(), self._workdir / job.id, job.owner)
        with structlog.contextvars.bound_contextvars(job=job.id, group=job.group):
            try:
                do_cleanup(handler, job.spec, context)
                if context.workdir.exists():
                    shutil.rmtree(context.workdir)
                self._store.cleaned(job.id)
            except Exception:
                _LOG.exception("job %s: its leftovers could not be removed yet", job.id)

    def _append(self, lease: Lease, kind: EventKind, payload: Mapping[str, Any]) -> None:
        self._surely(lambda: self._store.append_event(lease, kind, payload))

    def _finish(self, lease: Lease, state: JobState, result: JobResult | None, error: JobError | None) -> None:
        def write() -> None:
            try:
                self._store.finish(lease, state, result=result, error=error)
            except LeaseLost:
                # The answer to an earlier try may have got lost on the way.
                if self._store.get(lease.job.id).state is not state:
                    raise

        self._surely(write)

    def _surely(self, access: Callable[[], Result]) -> Result:
        """Reaches the store, or ends the process when the lease is lost or the store fails for good.

        The handler never sees that failure: it would take it for its own and tidy up what the next worker needs.
        """
        try:
            return patiently(access, self._times.lease)
        except NoyauError:
            self._lost()
            raise


class _GuardedLedger:
    """The job's ledger behind `JobRunner._surely`."""

    def __init__(self, ledger: StoreLedger, surely: Callable[[Callable[[], Any]], Any]) -> None:
        self._ledger = ledger
        self._surely = surely

    def finished(self, stage: str) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self._surely(lambda: self._ledger.finished(stage))
        return found

    def mark(self, stage: str, unit: str, payload: Mapping[str, Any] | None = None) -> None:
        self._surely(lambda: self._ledger.mark(stage, unit, payload))

    def forget(self) -> int:
        """See `StoreLedger.forget`."""
        return int(self._surely(self._ledger.forget))


class _NoLedger:
    """The ledger of a job that has ended: nothing can be recorded any more."""

    def finished(self, stage: str) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def mark(self, stage: str, unit: str, payload: Mapping[str, Any] | None = None) -> None:
        raise LeaseLost("The job has ended.")


def _call(
    handler: Handler, context: JobContext, job: Job, forget: Callable[[], int]
) -> tuple[JobState, JobResult | None, JobError | None]:
    try:
        take_up(context.workdir, job.attempts, forget, lambda text: context.reporter.log(text, "warning"))
        return JobState.SUCCEEDED, handler(job.spec, context), None
    except LeaseLost:
        raise
    except JobCancelled:
        return JobState.CANCELLED, None, None
    except NoyauError as error:
        _LOG.warning("job %s failed: %s", job.id, error)
        return JobState.FAILED, None, explain(error, job.id)
    except BaseException as error:
        # Also SystemExit: a library's exit() must not take the worker with it.
        _LOG.exception("job %s stopped on an unexpected error", job.id)
        return JobState.FAILED, None, explain(error, job.id)
