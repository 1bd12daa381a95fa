"""What one ended job adds to which figures, and what the figures are called for Prometheus.

The number of series is bounded whatever callers do: names of groups, users and the like that come after so many others
count as `(others)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from noyau.jobs.ended import EndedJob
from noyau.jobs.tallies import Amount

OTHERS = "(others)"
_DURATIONS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
BUCKET, SUM = ":bucket", ":sum"
"""Ends of the names under which the parts of a histogram are kept."""


@dataclass(frozen=True)
class Figure:
    """One family of series, a count or, where it has `buckets` (their upper ends), a histogram.

    Attributes:
        help: for people.
        labels: names.
        buckets: of a histogram.
        open: the label whose values come from callers or may be many; None: they are known beforehand.
        most: values that it may have.
    """

    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[int, ...] = ()
    open: str | None = None
    most: int = 100


def _of_group(text: str, *labels: str) -> Figure:
    return Figure(text, ("group", *labels), open="group", most=100)


def _of_user(text: str, *labels: str) -> Figure:
    return Figure(text, ("user", *labels), open="user", most=500)


FIGURES = MappingProxyType(
    {
        "jobs_ended": Figure("Jobs that ended.", ("kind", "state")),
        "jobs_failed": Figure("Failed jobs by cause.", ("kind", "cause")),
        "job_restarts": Figure("Attempts beyond the first of jobs that ended.", ("kind",)),
        "job_seconds": Figure("Time with a worker.", ("kind", "state"), _DURATIONS),
        "job_wait_seconds": Figure("Time until the first start.", ("kind",), _DURATIONS),
        "stage_seconds": Figure("Time in stages.", ("kind", "stage"), open="stage"),
        "stage_runs": Figure("Stages that were run.", ("kind", "stage"), open="stage"),
        "step_seconds": Figure("Time in steps of segmentation, which overlap.", ("kind", "step"), open="step"),
        "nuclei": Figure("Nuclei in results.", ("kind",)),
        "voxels": Figure("Voxels that were segmented.", ("kind",)),
        "device_seconds": Figure("Time in networks.", ("kind", "device")),
        "device_windows": Figure("Windows through networks.", ("device",)),
        "device_voxels": Figure("Voxels through networks, halos included.", ("device",)),
        "batch_windows": Figure("Windows per call of a network.", (), _BATCHES),
        "omero_calls": Figure("Calls to OMERO servers.", ("operation",), open="operation"),
        "omero_call_seconds": Figure("Time in calls to OMERO servers.", ("operation",), open="operation"),
        "omero_call_failures": Figure("Calls to OMERO servers that failed.", ("operation",), open="operation"),
        "group_jobs": _of_group("Ended jobs by group.", "state"),
        "group_seconds": _of_group("Time with workers, by group."),
        "group_voxels": _of_group("Voxels that were segmented, by group."),
        "group_device_seconds": _of_group("Time in networks, by group.", "device"),
        "user_jobs": _of_user("Ended jobs by user.", "state"),
        "user_seconds": _of_user("Time with workers, by user."),
        "user_voxels": _of_user("Voxels that were segmented, by user."),
        "user_device_seconds": _of_user("Time in networks, by user.", "device"),
    }
)
"""By name, without the prefix `noyau_`."""


def count(job: EndedJob) -> Iterator[Amount]:
    """See `noyau.jobs.tallies.CountJob`."""
    state = job.state.value.lower()
    yield Amount("jobs_ended", (job.kind, state), 1)
    yield Amount("job_restarts", (job.kind,), max(0, job.attempts - 1))
    yield from _observed("job_seconds", (job.kind, state), job.ran)
    if job.cause:
        yield Amount("jobs_failed", (job.kind, job.cause), 1)
    if job.waited is not None:
        yield from _observed("job_wait_seconds", (job.kind,), job.waited)
    for stage, seconds in job.stages:
        yield Amount("stage_seconds", (job.kind, stage), seconds)
        yield Amount("stage_runs", (job.kind, stage), 1)
    yield Amount("nuclei", (job.kind,), job.nuclei)
    yield Amount("voxels", (job.kind,), job.voxels)
    for holder, name in (("group", job.group), ("user", job.owner)):
        yield Amount(f"{holder}_jobs", (name, state), 1)
        yield Amount(f"{holder}_seconds", (name,), job.ran)
        yield Amount(f"{holder}_voxels", (name,), job.voxels)
    for name, value in job.used:
        yield from _used(job, name.split("/"), value)


def admit(amount: Amount, known: set[tuple[str, ...]]) -> Amount:
    """See `noyau.jobs.tallies.Admit`."""
    figure = FIGURES.get(amount.figure.partition(":")[0])
    if figure is None or figure.open is None:
        return amount
    place = figure.labels.index(figure.open)
    values = {labels[place] for labels in known if len(labels) > place}
    if amount.labels[place] in values or len(values - {OTHERS}) < figure.most:
        return amount
    return replace(amount, labels=tuple(OTHERS if i == place else text for i, text in enumerate(amount.labels)))


def _observed(figure: str, labels: tuple[str, ...], value: float) -> Iterable[Amount]:
    """What one observation adds to a histogram: to its own bucket only, not to those above."""
    bucket = next((str(end) for end in FIGURES[figure].buckets if value <= end), "+Inf")
    return (Amount(figure + BUCKET, (*labels, bucket), 1), Amount(figure + SUM, labels, value))


def _used(job: EndedJob, name: list[str], value: float) -> Iterator[Amount]:
    """What a meter counted (see `noyau.domain.meters`); names of other versions are passed over."""
    match name:
        case ["device", device, "seconds"]:
            yield Amount("device_seconds", (job.kind, device), value)
            yield Amount("group_device_seconds", (job.group, device), value)
            yield Amount("user_device_seconds", (job.owner, device), value)
        case ["device", device, "windows" | "voxels" as what]:
            yield Amount(f"device_{what}", (device,), value)
            if what == "windows":
                yield Amount("batch_windows" + SUM, (), value)
        case ["batch", size] if size in {str(end) for end in _BATCHES}:
            yield Amount("batch_windows" + BUCKET, (size,), value)
        case ["step", step]:
            yield Amount("step_seconds", (job.kind, step), value)
        case ["omero", operation, "calls"]:
            yield Amount("omero_calls", (operation,), value)
        case ["omero", operation, "seconds"]:
            yield Amount("omero_call_seconds", (operation,), value)
        case ["omero", operation, "failures"]:
            yield Amount("omero_call_failures", (operation,), value)
