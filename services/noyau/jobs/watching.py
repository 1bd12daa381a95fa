"""Follow a job: its events from any sequence number on, until the one that ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from noyau.domain.errors import DeadlineExceeded, OutOfRange
from noyau.domain.jobs import Event, EventKind, Job, JobState
from noyau.jobs.store import JobStore

_POLL_SECONDS = 0.15
_BATCH = 500


def watch(store: JobStore, job_id: str, from_seq: int = 1, *, poll_seconds: float = _POLL_SECONDS) -> Iterator[Event]:
    """Events with `seq >= from_seq` as they come; ends after the event of the final state.

    To resume, pass the last seen sequence number plus one.

    Raises:
        NotFound: there is no such job.
        OutOfRange: `from_seq` lies beyond what the job can have next.
    """
    follower = _Follower(store, job_id, from_seq)
    follower.check_start()
    while not follower.is_over:
        found = follower.read()
        yield from found
        if not found and not follower.is_over:
            time.sleep(poll_seconds)


async def watch_async(
    store: JobStore, job_id: str, from_seq: int = 1, *, poll_seconds: float = _POLL_SECONDS
) -> AsyncIterator[Event]:
    """`watch` for an event loop; the store is read in threads."""
    follower = _Follower(store, job_id, from_seq)
    await asyncio.to_thread(follower.check_start)
    while not follower.is_over:
        found = await asyncio.to_thread(follower.read)
        for event in found:
            yield event
        if not found and not follower.is_over:
            await asyncio.sleep(poll_seconds)


def wait_until_final(store: JobStore, job_id: str, timeout_seconds: float, *, poll_seconds: float = 0.05) -> Job:
    """The job once it has ended.

    Raises:
        DeadlineExceeded: it has not, within `timeout_seconds`.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        job = store.get(job_id)
        if job.state.is_final:
            return job
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"Job {job_id} has not ended within {timeout_seconds:g} s ({job.state.value}).")
        time.sleep(poll_seconds)


class _Follower:
    """Reads the events of one job batch by batch and knows when no more can come."""

    def __init__(self, store: JobStore, job_id: str, from_seq: int) -> None:
        self._store = store
        self._job_id = job_id
        self._seq = max(1, from_seq)
        self._state_asked = False
        self._had_ended = False
        self.is_over = False

    def check_start(self) -> None:
        """Raises NotFound or OutOfRange where there is nothing to follow."""
        before = self._seq - 1
        if not self._store.events_since(self._job_id, max(1, before), 1):
            raise OutOfRange(
                f"Job {self._job_id} has no event {before} yet.", "Watch from behind the last event that you have seen."
            )

    def read(self) -> tuple[Event, ...]:
        """The next events, perhaps none."""
        found = self._store.events_since(self._job_id, self._seq, _BATCH)
        if found:
            self._seq = found[-1].seq + 1
            self.is_over = _ends_job(found[-1])
        elif self._had_ended:
            self.is_over = True
        elif not self._state_asked:
            # The watch may have begun behind the final event. Asking once is enough: of a job that still runs, the
            # final event will come by. And one that has ended since our read is read once more.
            self._state_asked = True
            self._had_ended = self._store.get(self._job_id).state.is_final
        return found


def _ends_job(event: Event) -> bool:
    """The final event is always the last."""
    return event.kind is EventKind.STATE and JobState(event.payload["state"]).is_final
