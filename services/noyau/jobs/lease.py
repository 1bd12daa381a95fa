"""A worker's right to run one job, and the error that says it is gone."""

from __future__ import annotations

from dataclasses import dataclass

from noyau.domain.errors import JobCancelled
from noyau.domain.jobs import Job


class LeaseLost(JobCancelled):
    """The job was given to another worker, cancelled or finished meanwhile: stop, and write nothing more."""


@dataclass(frozen=True)
class Lease:
    """One job in the hands of one worker.

    Attributes:
        job: the job as it was when it was claimed.
        number: its row in the store.
        fence: fencing token; every write names it and is refused once the job has changed hands.
        worker: who holds the lease (a `ProcessIdentity` as text).
    """

    job: Job
    number: int
    fence: int
    worker: str
