"""Keeps worker processes alive, recovers the jobs of dead ones, and enforces cancels."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Self

from noyau.domain.errors import FailedPrecondition, NoyauError
from noyau.jobs.config import WorkerConfig
from noyau.jobs.identity import ProcessIdentity
from noyau.jobs.process import WorkerProcess, describe_death
from noyau.jobs.recovering import Loss, Recovered
from noyau.jobs.store import JobStore

_LOG = logging.getLogger(__name__)
_TICK_SECONDS = 0.1
_HEALTHY_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_STOP_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class WorkerStatus:
    """What an operator wants to know of one worker; pid is None while a dead one waits to be restarted."""

    pid: int | None
    restarts: int


class Supervisor:
    """Runs `workers` worker processes until `stop`. Use it as a context manager, or call `start` and `stop`.

    On start it takes back the jobs of its dead predecessors on this host. While it runs, the job of a worker that dies
    is taken back at once. A cancelled job that has not stopped by itself within `times.cancel_grace` loses its worker.

    Args:
        store: the opened job store (shared with the caller, who closes it).
        config: settings of the workers.
        workers: number of processes.
    """

    def __init__(self, store: JobStore, config: WorkerConfig, workers: int = 1) -> None:
        self._store = store
        self._config = config
        self._slots = [_Slot() for _ in range(workers)]
        self._stopping = threading.Event()
        self._grace = 0.0
        self._next_recovery = 0.0
        # All workers are started from this one thread, because the kernel ends them when it ends.
        self._thread = threading.Thread(target=self._run, name="noyau-supervisor", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Stops claiming, gives running jobs `grace_seconds` to end, then puts them back into the queue.

        A later service resumes those where their ledgers say.
        """
        if not self._thread.is_alive():
            return
        self._grace = grace_seconds
        self._stopping.set()
        self._thread.join(grace_seconds + _STOP_PATIENCE_SECONDS)
        if self._thread.is_alive():
            raise FailedPrecondition("The worker processes do not stop.", "Kill the service; no job is lost.")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def status(self) -> tuple[WorkerStatus, ...]:
        """One entry per worker."""
        return tuple(slot.status for slot in self._slots)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._tick(spawn=True)
            self._stopping.wait(_TICK_SECONDS)
        self._drain()

    def _tick(self, *, spawn: bool) -> None:
        try:
            for slot in self._slots:
                self._reap(slot)
            # Before new workers start, so that they find the jobs of dead predecessors in their order.
            self._recover()
            if spawn:
                for slot in self._slots:
                    slot.spawn_if_due(self._config)
            self._enforce_cancels()
        except NoyauError as error:
            _LOG.warning("the supervisor tries again: %s", error)
        except Exception:
            # It must outlive any mistake of ours: without it no job would ever be recovered.
            _LOG.exception("the supervisor goes on after an unexpected error")

    def _reap(self, slot: _Slot) -> None:
        process = slot.process
        status = process.exit_status if process else None
        if process is None or status is None:
            return
        slot.died(status)
        if status:
            _LOG.warning("worker %d ended with status %d", process.pid, status)
        self._take_back(process, Loss.CRASH, describe_death(status))

    def _enforce_cancels(self) -> None:
        for overdue in self._store.overdue_cancels(self._config.times.cancel_grace):
            self._kill(self._slot_of(overdue.worker), Loss.RELEASE, "Its worker was stopped to cancel a job")

    def _recover(self) -> None:
        now = time.monotonic()
        if now < self._next_recovery:
            return
        self._next_recovery = now + self._config.times.recover_poll
        self._attend_late_leases()
        _report(self._store.recover_dead(lambda worker: ProcessIdentity.parse(worker).is_provably_dead))
        _report(self._store.recover_expired())

    def _attend_late_leases(self) -> None:
        """A worker of ours that lives keeps its job, even while native code keeps Python's lock from its heartbeat.

        One that was stopped from outside loses it when the lease ends, and is killed first: it may hold a lock of the
        database. So this comes before anything that writes.
        """
        lease = self._config.times.lease
        for late in self._store.late_leases(lease / 2):
            slot = self._slot_of(late.worker)
            if slot is None or slot.process is None:
                continue
            if not slot.process.is_stopped:
                self._store.vouch(late.worker, lease)
            elif late.has_ended:
                self._kill(slot, Loss.CRASH, "Its worker stood still for longer than its lease")

    def _slot_of(self, worker: str) -> _Slot | None:
        return next((slot for slot in self._slots if slot.process and slot.process.identity == worker), None)

    def _kill(self, slot: _Slot | None, loss: Loss, reason: str) -> None:
        """Ends one of our workers; those of other supervisors are theirs to end."""
        if slot is not None and slot.process is not None:
            process = slot.process
            process.kill()
            slot.died(0)
            self._take_back(process, loss, reason)

    def _take_back(self, process: WorkerProcess, loss: Loss, reason: str) -> None:
        # Where the database does not answer now, `recover_dead` does it later.
        _report(self._store.recover_worker(process.identity, loss, reason))

    def _drain(self) -> None:
        deadline = time.monotonic() + self._grace
        for slot in self._slots:
            if slot.process is not None:
                slot.process.drain()
        while time.monotonic() < deadline and any(slot.process for slot in self._slots):
            self._tick(spawn=False)
            time.sleep(_TICK_SECONDS)
        for slot in self._slots:
            if slot.process is not None:
                process, slot.process = slot.process, None
                process.kill()
                _ = process.exit_status  # closes its pipe
                try:
                    self._take_back(process, Loss.RELEASE, "The service was stopped")
                except NoyauError as error:
                    _LOG.warning("the job of worker %d waits for the next start: %s", process.pid, error)


class _Slot:
    """A place for one worker process, with the history that decides when the next one may start."""

    def __init__(self) -> None:
        self.process: WorkerProcess | None = None
        self.restarts = -1
        self._failures = 0
        self._not_before = 0.0

    @property
    def status(self) -> WorkerStatus:
        process = self.process  # read once: the supervisor's thread may take it away
        return WorkerStatus(None if process is None else process.pid, self.restarts)

    def spawn_if_due(self, config: WorkerConfig) -> None:
        if self.process is None and time.monotonic() >= self._not_before:
            self.process = WorkerProcess(config)
            self.restarts += 1

    def died(self, status: int) -> None:
        """Forgets the process; workers that die young are restarted ever more slowly."""
        if self.process is None:
            return
        _ = self.process.exit_status  # closes its pipe
        young = time.monotonic() - self.process.began < _HEALTHY_SECONDS
        self._failures = self._failures + 1 if young and status else 0
        pause = _FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1) if self._failures else 0.0
        self._not_before = time.monotonic() + min(pause, _LONGEST_PAUSE_SECONDS)
        self.process = None


def _report(recovered: tuple[Recovered, ...]) -> None:
    for job in recovered:
        _LOG.warning("job %s: %s; it is now %s", job.job_id, job.reason, job.state.value)
