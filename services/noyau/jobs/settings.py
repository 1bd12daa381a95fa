"""What an operator may set about jobs, as frozen values that `main` passes down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class GroupLimits:
    """Limits of one group. None means no limit.

    Attributes:
        running: jobs that may run at once.
        queued: jobs that may wait.
    """

    running: int | None = None
    queued: int | None = None


@dataclass(frozen=True)
class JobLimits:
    """Quotas and the patience with jobs whose workers die.

    Attributes:
        running_per_group: jobs of one group that may run at once; None means no limit.
        queued_per_group: jobs of one group that may wait; a further Submit is refused. None means no limit.
        max_crashes: deaths of the worker alone (out of memory, a crash in native code) without a finished unit in
            between, after which the job fails instead of being tried again.
        max_interruptions: the same for deaths of the whole service or host, which are seldom the job's fault.
        groups: limits of single groups, instead of the first two.
    """

    running_per_group: int | None = None
    queued_per_group: int | None = None
    max_crashes: int = 3
    max_interruptions: int = 20
    groups: Mapping[str, GroupLimits] = field(default_factory=dict)

    def of(self, group: str) -> GroupLimits:
        """The limits that hold for a group."""
        return self.groups.get(group) or GroupLimits(self.running_per_group, self.queued_per_group)


@dataclass(frozen=True)
class JobTimes:
    """Periods in seconds.

    Attributes:
        lease: how long a worker is believed alive without a heartbeat. Only the loss of a whole host takes that long
            to notice; a dead process is seen at once by its supervisor or by the next one on the host.
        renew: time between two renewals of the lease.
        cancel_poll: how often a busy worker looks for a cancel request.
        claim_poll: how often an idle worker looks for a job.
        cancel_grace: how long a cancelled job may take to stop by itself before its worker is killed.
        recover_poll: how often a supervisor looks for jobs that lost their worker.
    """

    lease: float = 15.0
    renew: float = 2.0
    cancel_poll: float = 0.25
    claim_poll: float = 0.1
    cancel_grace: float = 1.5
    recover_poll: float = 1.0
