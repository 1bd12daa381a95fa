"""Figures of jobs, from the job store alone.

A coordinator that is started again, or another one on the same store, shows the same counts: nothing that a killed
worker or coordinator did is lost, nothing is counted twice, and jobs that were forgotten stay counted. Where several
coordinators share a store, take the maximum over them, not the sum.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from noyau.domain.errors import NoyauError
from noyau.domain.jobs import JobState
from noyau.jobs.codec import KINDS
from noyau.jobs.database import Database
from noyau.jobs.ended import ActiveJobs, active
from noyau.jobs.tallies import Amount, Tallies
from noyau.operations.tally_figures import BUCKET, FIGURES, OTHERS, SUM, Figure, admit, count

MOST_GROUPS = 100
"""Groups with figures of their own in the queue; callers choose the names, so there could be any number."""
_PAGE = 200
# Prometheus waits ten seconds for an answer by default.
_CATCH_UP_SECONDS = 5.0


def tallies_of(database: Database) -> Tallies:
    """The sums behind the figures."""
    return Tallies(database, count, admit)


class JobFigures:
    """A collector for prometheus_client: asks the store whenever somebody looks. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tallies = tallies_of(database)

    def describe(self) -> Sequence[Metric]:
        """None beforehand: registering must not ask the store."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All figures. Where the store does not answer, only that."""
        try:
            now, complete, sums = active(self._database), self._catch_up(), self._tallies.read()
        except NoyauError:
            yield GaugeMetricFamily("noyau_job_store_up", "Whether the job store answers.", 0)
            return
        yield GaugeMetricFamily("noyau_job_store_up", "Whether the job store answers.", 1)
        yield from _active_figures(now)
        yield from _group_figures(now)
        # Counts that still grow by jobs of the past would look like work that is done now.
        if complete:
            yield from families(sums)

    def _catch_up(self) -> bool:
        """Counts ended jobs; False where there are too many for one answer."""
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while self._tallies.add_ended(_PAGE) == _PAGE:
            if time.monotonic() > deadline:
                return False
        return True


def families(sums: Sequence[Amount]) -> Iterator[Metric]:
    """Sums as Prometheus has them. Figures of another version, which this one does not know, are left out."""
    for name, figure in FIGURES.items():
        if figure.buckets:
            yield _histogram(name, figure, sums)
            continue
        family = CounterMetricFamily(f"noyau_{name}", figure.help, labels=figure.labels)
        for amount in sums:
            if amount.figure == name and len(amount.labels) == len(figure.labels):
                family.add_metric(amount.labels, amount.value)
        yield family


def _histogram(name: str, figure: Figure, sums: Sequence[Amount]) -> Metric:
    family = HistogramMetricFamily(f"noyau_{name}", figure.help, labels=figure.labels)
    counts: dict[tuple[str, ...], dict[str, float]] = {}
    for amount in sums:
        if amount.figure == name + BUCKET:
            counts.setdefault(amount.labels[:-1], {})[amount.labels[-1]] = amount.value
    totals = {amount.labels: amount.value for amount in sums if amount.figure == name + SUM}
    for labels, found in counts.items():
        ends = [*map(str, figure.buckets), "+Inf"]
        upto = [(end, sum(found.get(lower, 0.0) for lower in ends[: i + 1])) for i, end in enumerate(ends)]
        family.add_metric(labels, upto, totals.get(labels, 0.0))
    return family


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


def _group_figures(found: Sequence[ActiveJobs]) -> Iterator[Metric]:
    """Those of the groups with most jobs; the others together."""
    weights: dict[str, int] = {}
    for one in found:
        weights[one.group] = weights.get(one.group, 0) + one.jobs
    heaviest = sorted(weights, key=lambda group: (-weights[group], group))[:MOST_GROUPS]
    for name, text, state in (
        ("noyau_group_queue_length", "Jobs that wait, by group.", JobState.QUEUED),
        ("noyau_group_running", "Jobs that run, by group.", JobState.RUNNING),
    ):
        family = GaugeMetricFamily(name, text, labels=("group",))
        of_group = partial(_sum_of, found, state)
        for group in heaviest:
            family.add_metric((group,), of_group({group}))
        if len(heaviest) < len(weights):
            family.add_metric((OTHERS,), of_group(weights.keys() - set(heaviest)))
        yield family


def _sum_of(found: Sequence[ActiveJobs], state: JobState, groups: set[str]) -> int:
    return sum(one.jobs for one in found if one.state is state and one.group in groups)
