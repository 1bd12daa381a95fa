"""Figures of jobs, from the job store alone.

A coordinator that is started again, or another one on the same store, shows the same counts: nothing that a killed
worker or coordinator did is lost, and nothing is counted twice. Where several coordinators share a store, take the
maximum over them, not the sum.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from noyau.domain.errors import NoyauError
from noyau.domain.jobs import JobState
from noyau.jobs.codec import KINDS
from noyau.jobs.database import Database
from noyau.jobs.ended import ActiveJobs, EndedJob, EndedJobs, active

MOST_GROUPS = 100
"""Groups with figures of their own; callers choose the names, so there could be any number."""
OTHERS = "(others)"
_PAGE = 500
# Prometheus waits ten seconds for an answer by default.
_CATCH_UP_SECONDS = 5.0
_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)


class EndedFigures:
    """Counts of ended jobs. Durations are seconds with a worker, over all attempts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._groups: set[str] = set()
        self._ended = Counter("noyau_jobs_ended", "Jobs that ended.", ("kind", "state"), registry=registry)
        self._failed = Counter("noyau_jobs_failed", "Failed jobs by cause.", ("kind", "cause"), registry=registry)
        self._restarts = Counter(
            "noyau_job_restarts", "Attempts beyond the first of jobs that ended.", ("kind",), registry=registry
        )
        self._ran = Histogram(
            "noyau_job_seconds", "Time with a worker.", ("kind", "state"), registry=registry, buckets=_BUCKETS
        )
        self._waited = Histogram(
            "noyau_job_wait_seconds", "Time until the first start.", ("kind",), registry=registry, buckets=_BUCKETS
        )
        self._stage = Counter("noyau_stage_seconds", "Time in stages.", ("kind", "stage"), registry=registry)
        self._stages = Counter("noyau_stage_runs", "Stages that were run.", ("kind", "stage"), registry=registry)
        self._nuclei = Counter("noyau_nuclei", "Nuclei in results.", ("kind",), registry=registry)
        self._voxels = Counter("noyau_voxels", "Voxels that were segmented.", ("kind",), registry=registry)
        self._use = Counter("noyau_group_seconds", "Time with workers, by group.", ("group",), registry=registry)
        self._of_group = Counter("noyau_group_jobs", "Ended jobs by group.", ("group", "state"), registry=registry)

    def count(self, job: EndedJob) -> None:
        """Adds one job."""
        state = job.state.value.lower()
        self._ended.labels(job.kind, state).inc()
        self._ran.labels(job.kind, state).observe(job.ran)
        self._restarts.labels(job.kind).inc(max(0, job.attempts - 1))
        if job.cause:
            self._failed.labels(job.kind, job.cause).inc()
        if job.waited is not None:
            self._waited.labels(job.kind).observe(job.waited)
        for stage, seconds in job.stages:
            self._stage.labels(job.kind, stage).inc(seconds)
            self._stages.labels(job.kind, stage).inc()
        self._nuclei.labels(job.kind).inc(job.nuclei)
        self._voxels.labels(job.kind).inc(job.voxels)
        group = self._known(job.group)
        self._use.labels(group).inc(job.ran)
        self._of_group.labels(group, state).inc()

    def _known(self, group: str) -> str:
        if group not in self._groups and len(self._groups) >= MOST_GROUPS:
            return OTHERS
        self._groups.add(group)
        return group


class JobFigures:
    """A collector for prometheus_client: asks the store whenever somebody looks. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counted = CollectorRegistry()
        self._ended = EndedFigures(self._counted)
        self._walk = EndedJobs(database)
        self._lock = threading.Lock()

    def describe(self) -> Sequence[Metric]:
        """None beforehand: registering must not ask the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All figures. Where the store does not answer, only that."""
        with self._lock:
            try:
                now, complete = active(self._database), self._catch_up()
            except NoyauError:
                yield GaugeMetricFamily("noyau_job_store_up", "Whether the job store answers.", 0)
                return
            yield GaugeMetricFamily("noyau_job_store_up", "Whether the job store answers.", 1)
            yield from _active_figures(now)
            # Counts that still grow to what they were before a restart would look like work that was never done.
            if complete:
                yield from self._counted.collect()

    def _catch_up(self) -> bool:
        """Counts ended jobs; False where there are too many for one answer."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while True:
            found = self._walk.next(_PAGE)
            for job in found:
                self._ended.count(job)
            if len(found) < _PAGE:
                return True
            if time.monotonic() > deadline:
                return False


def _active_figures(found: Sequence[ActiveJobs]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("noyau_jobs", "Jobs that wait or run.", labels=("kind", "state"))
    queue = GaugeMetricFamily("noyau_queue_length", "Jobs that wait.", labels=("kind",))
    age = GaugeMetricFamily("noyau_queue_oldest_seconds", "Age of the oldest job that waits.", labels=("kind",))
    for kind in KINDS:
        mine = [one for one in found if one.kind == kind]
        waiting = [one for one in mine if one.state is JobState.QUEUED]
        jobs.add_metric((kind, "queued"), sum(one.jobs for one in waiting))
        jobs.add_metric((kind, "running"), sum(one.jobs for one in mine if one.state is JobState.RUNNING))
        queue.add_metric((kind,), sum(one.jobs for one in waiting))
        age.add_metric((kind,), max((one.oldest for one in waiting), default=0.0))
    yield from (jobs, queue, age)
