"""The durable store of jobs: one door to the modules that each do one thing with the database.

All methods are blocking, short, and safe to call from several threads and processes. All raise `Unavailable` when the
database does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from noyau.domain import observing
from noyau.domain.jobs import Event, EventKind, Job, JobError, JobResult, JobSpec, JobState
from noyau.jobs import claiming, codec, events, leasing, listing, migrate, recovering, submitting, used_tokens
from noyau.jobs.database import Database
from noyau.jobs.lease import Lease
from noyau.jobs.ledger import StoreLedger
from noyau.jobs.listing import JobFilter, JobPage
from noyau.jobs.recovering import LateLease, Loss, OverdueCancel, Recovered
from noyau.jobs.settings import JobLimits


class JobStore:
    """Jobs, events and finished units in SQLite or PostgreSQL. Use it as a context manager, or call `close`."""

    def __init__(self, database: Database, limits: JobLimits | None = None) -> None:
        self.database = database
        self.limits = limits or JobLimits()

    @classmethod
    def open(cls, url: str, limits: JobLimits | None = None) -> Self:
        """Opens the store and brings its tables up to date.

        Args:
            url: `sqlite:///path`, a plain path, or `postgresql://user:password@host/database`.
            limits: quotas.

        Raises:
            InvalidInput: the URL cannot be read.
            FailedPrecondition: the database was written by a newer version, or is none.
            Unavailable: the database does not answer.
        """
        database = Database.open(url)
        try:
            migrate.upgrade(database)
        except BaseException:
            database.close()
            raise
        return cls(database, limits)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # What callers of the service do.

    def submit(
        self,
        spec: JobSpec,
        *,
        owner: str = "",
        group: str = "",
        priority: int = 0,
        idempotency_key: str = "",
        trace: str = "",
    ) -> Job:
        """Puts a job into the queue; when this returns, the job survives a crash.

        The same owner, key and spec again give the job that is there already, whatever its state. `trace` is the
        header `traceparent` under which its spans belong; by default that of the current scope.

        Raises:
            AlreadyExists: the owner used the key for another spec.
            InvalidInput: a text is too long or not printable.
            LimitExceeded: the group's quota of waiting jobs is used up.
        """
        position = observing.current().trace
        trace = trace or (position.header if position is not None else "")
        wanted = submitting.Submission(spec, owner, group, priority, idempotency_key, trace)
        return submitting.submit(self.database, wanted, self.limits)

    def get(self, job_id: str) -> Job:
        """The job as it is now. Raises NotFound."""
        return listing.get(self.database, job_id)

    def list(self, wanted: JobFilter | None = None, *, page_size: int = 50, page_token: str = "") -> JobPage:
        """One page of jobs, newest first. Raises InvalidInput for a token of another list or a bad page size."""
        return listing.list_page(self.database, wanted or JobFilter(), page_size, page_token)

    def count_by_state(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        return listing.count_by_state(self.database)

    def events_since(self, job_id: str, from_seq: int = 1, limit: int = 1000) -> tuple[Event, ...]:
        """Events of a job with `seq >= from_seq`, in order. Raises NotFound."""
        return events.read(self.database, job_id, from_seq, limit)

    def request_cancel(self, job_id: str) -> Job:
        """Cancels a waiting job at once, asks a running one to stop, and leaves a cancelled one as it is.

        Raises:
            NotFound: there is no such job.
            FailedPrecondition: it has succeeded or failed.
        """
        return recovering.request_cancel(self.database, job_id)

    def use_once(self, name: str, until: float) -> bool:
        """Marks a token as used; False where it was used before, here or at another coordinator.

        Args:
            name: of the token, whatever is unique for it.
            until: when it expires, seconds since 1970; it is forgotten then.
        """
        return used_tokens.use_once(self.database, name, until)

    # What a worker does.

    def claim(self, worker: str, *, kinds: Sequence[str] | None = None, lease_seconds: float = 15.0) -> Lease | None:
        """Takes the next job: fair between groups, then by priority, then the oldest; None where there is none.

        Args:
            worker: who takes it (`str(ProcessIdentity.of())`).
            kinds: kinds of jobs that it can run; None means all.
            lease_seconds: how long it is believed alive without a heartbeat.
        """
        wanted = tuple(codec.KINDS) if kinds is None else tuple(kinds)
        return claiming.claim(self.database, worker, wanted, lease_seconds, self.limits)

    def heartbeat(self, lease: Lease, lease_seconds: float = 15.0) -> bool:
        """Renews the lease; True when the job should be cancelled. Raises LeaseLost."""
        return leasing.heartbeat(self.database, lease, lease_seconds)

    def cancel_requested(self, lease: Lease) -> bool:
        """True when the job should be cancelled; cheaper than a heartbeat. Raises LeaseLost."""
        return leasing.cancel_requested(self.database, lease)

    def append_event(self, lease: Lease, kind: EventKind, payload: Mapping[str, Any]) -> int:
        """Adds an event and returns its sequence number. Raises LeaseLost."""
        return leasing.append_event(self.database, lease, kind, payload)

    def ledger(self, lease: Lease) -> StoreLedger:
        """The record of finished units of the leased job."""
        return StoreLedger(self.database, lease)

    def finish(
        self, lease: Lease, state: JobState, *, result: JobResult | None = None, error: JobError | None = None
    ) -> None:
        """Ends the job: state, result or error, and the last event in one transaction. Raises LeaseLost."""
        leasing.finish(self.database, lease, state, result, error)

    def claim_cleanup(self, worker: str, *, kinds: Sequence[str] | None = None) -> Job | None:
        """An ended job whose leftovers this worker should remove; then it calls `cleaned`. None where there is none."""
        wanted = tuple(codec.KINDS) if kinds is None else tuple(kinds)
        return claiming.claim_cleanup(self.database, worker, wanted)

    def leftovers(self) -> int:
        """How many ended jobs still have scratch or half-written output that a worker will remove."""
        return listing.leftovers(self.database)

    def cleaned(self, job_id: str) -> None:
        """Nothing of the job's scratch or half-written output is left."""
        recovering.cleaned(self.database, job_id)

    # What a supervisor does.

    def overdue_cancels(self, grace_seconds: float) -> tuple[OverdueCancel, ...]:
        """Jobs still running that long after their cancel was asked for."""
        return recovering.overdue_cancels(self.database, grace_seconds)

    def late_leases(self, soon_seconds: float) -> tuple[LateLease, ...]:
        """Running jobs whose lease has ended, or ends within that time. Takes no lock."""
        return recovering.late_leases(self.database, soon_seconds)

    def vouch(self, worker: str, lease_seconds: float) -> None:
        """Renews the lease of a worker that is known to live although its own heartbeat is late."""
        recovering.vouch(self.database, worker, lease_seconds)

    def recover_expired(self) -> tuple[Recovered, ...]:
        """Takes jobs whose lease has ended from their workers; they wait again, or end (see `JobLimits`)."""
        return recovering.recover_expired(self.database, self.limits)

    def recover_worker(self, worker: str, loss: Loss, reason: str) -> tuple[Recovered, ...]:
        """The same for the job of one worker that is known to be dead.

        Args:
            worker: as given to `claim`.
            loss: whose fault it was.
            reason: start of a sentence for the user, without a full stop, e.g. `Its worker was killed (signal 9)`.
        """
        return recovering.recover_worker(self.database, worker, loss, reason, self.limits)

    def recover_dead(self, is_dead: Callable[[str], bool]) -> tuple[Recovered, ...]:
        """The same for the jobs of all workers that `is_dead` declares dead."""
        return recovering.recover_dead(self.database, is_dead, self.limits)
