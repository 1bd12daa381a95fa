"""Many short jobs while the service and its workers are killed at random: none lost, none doubled, memory flat.

The first part of the jobs runs under kills, the rest undisturbed, so that processes live long enough to show whether
they grow.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from noyau.bench.rows import Row, machine
from noyau.bench.soak_service import SoakService, Weight
from noyau.client import Client
from noyau.domain.errors import InternalError, NoyauError, Unavailable
from noyau.domain.image import ImageRef
from noyau.domain.jobs import EventKind, Job, JobState, SegmentSpec
from noyau.domain.progress import Reporter
from noyau.sources.convert import convert
from noyau.storage.store import Store

BENCH = "soak"
DISTURBED = 0.7
"""Share of the jobs during which processes are killed."""
QUEUE = 40
"""Jobs that wait or run at a time."""
SETTLING = 40
"""Jobs after the last kill until which processes may still grow: imports, first windows, pools."""
_POLL_SECONDS = 0.5
_WEIGH_SECONDS = 5.0


@dataclass(frozen=True)
class Soak:
    """The conditions.

    Attributes:
        jobs: how many.
        kills: processes killed, all in the first part.
        workers: worker processes.
        seed: of the moments and the processes.
        stall_seconds: without any job ending for so long, jobs count as lost.
    """

    jobs: int = 1000
    kills: int = 30
    workers: int = 2
    seed: int = 20261122
    stall_seconds: float = 1200.0


@dataclass
class _Course:
    """What happens on the way."""

    ids: list[str] = field(default_factory=list)
    ended: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    weights: list[Weight] = field(default_factory=list)
    last_kill: int = 0
    hit: tuple[str, ...] = ()


def bench_soak(soak: Soak, folder: Path, reporter: Reporter) -> list[Row]:
    """Runs the soak and checks every job.

    Args:
        soak: the conditions.
        folder: for images, results and the service's state; with a short path, for a socket lies in it.
        reporter: is told how far it is, and says when to stop.

    Returns:
        What was counted and weighed; `lost`, `doubled` and `different` are 0 where all is well.

    Raises:
        InternalError: jobs do not end any more.
    """
    image = _image(folder)
    service = SoakService(folder, soak.workers)
    course = _Course()
    began = time.monotonic()
    service.start(reporter.check)
    try:
        with service.client() as client:
            _run(soak, service, client, image, course, reporter)
            seconds = time.monotonic() - began
            found = _examine(client, course.ids, soak, folder, service)
    finally:
        service.stop()
    return [*_counts(soak, course, seconds, found), *growth(course.weights, course.last_kill + SETTLING)]


def _run(soak: Soak, service: SoakService, client: Client, image: str, course: _Course, reporter: Reporter) -> None:
    chance = random.Random(soak.seed)
    due = sorted(chance.randrange(1, max(2, int(soak.jobs * DISTURBED))) for _ in range(soak.kills))
    moved = time.monotonic()
    weighed = 0.0
    while course.ended < soak.jobs:
        reporter.check()
        try:
            _submit(soak, client, image, course)
            ended = _count_ended(client)
            running = tuple(job.id for job in _all(client, (JobState.RUNNING,)))
            waiting = {*running, *(job.id for job in _all(client, (JobState.QUEUED,)))}
        except Unavailable:
            ended, running, waiting = course.ended, course.hit, set(course.hit)
        if ended != course.ended:
            course.ended, moved = ended, time.monotonic()
            reporter.progress(ended, soak.jobs, "job")
        if time.monotonic() - moved > soak.stall_seconds:
            raise InternalError(f"No job has ended for {soak.stall_seconds:.0f} s; {soak.jobs - ended} are left.")
        if time.monotonic() - weighed > _WEIGH_SECONDS:
            course.weights += service.weigh(course.ended)
            weighed = time.monotonic()
        # A job whose worker dies three times without progress fails by design, as one that runs out of memory does;
        # so a kill waits until the jobs that the last one hit are through.
        if due and course.ended >= due[0] and not waiting & set(course.hit):
            due.pop(0)
            course.hit = running
            time.sleep(chance.uniform(0, 1))
            course.killed[service.kill(chance, reporter.check)] += 1
            course.last_kill = course.ended
        time.sleep(_POLL_SECONDS)


def _submit(soak: Soak, client: Client, image: str, course: _Course) -> None:
    """Keeps the queue filled. The key makes a submit harmless whose answer got lost with the service."""
    while len(course.ids) < soak.jobs and len(course.ids) - course.ended < QUEUE:
        number = len(course.ids)
        output = str(Path(image).parent / "results" / f"{number}.ome.zarr")
        spec = SegmentSpec((ImageRef(image),), output=output, measure=False)
        course.ids.append(client.submit(spec, idempotency_key=f"soak-{number}").id)


def _count_ended(client: Client) -> int:
    return len(_all(client, tuple(state for state in JobState if state.is_final)))


def _all(client: Client, states: tuple[JobState, ...] = ()) -> list[Job]:
    jobs: list[Job] = []
    token = ""
    while True:
        page = client.list(states=states, page_size=1000, page_token=token)
        jobs += page.jobs
        token = page.next_token
        if not token:
            return jobs


@dataclass
class _Found:
    """What the examination counts."""

    lost: int = 0
    why: list[str] = field(default_factory=list)
    doubled: int = 0
    different: int = 0
    left: int = 0
    attempts: int = 0


def _examine(client: Client, ids: Sequence[str], soak: Soak, folder: Path, service: SoakService) -> _Found:
    """Every job that was acknowledged is there, ended once, well, and its labels are those of all others."""
    found = _Found()
    jobs = {job.id: job for job in _all(client)}
    found.doubled += len(jobs) - len(set(ids)) + len(ids) - len(set(ids))
    labels: Counter[bytes] = Counter()
    for number, job_id in enumerate(ids):
        job = jobs.get(job_id)
        if job is None or job.state is not JobState.SUCCEEDED:
            found.lost += 1
            error = job.error.cause if job is not None and job.error is not None else ""
            found.why.append(f"{job_id} {'is absent' if job is None else job.state.value} {error}".strip())
            continue
        found.attempts += job.attempts
        found.doubled += not _ended_once(client, job_id)
        labels[_bytes(folder / "images" / "results" / f"{number}.ome.zarr")] += 1
    found.different = sum(labels.values()) - max(labels.values(), default=0)
    _wait_for_tidiness(service)
    hidden = [path for path in (folder / "images" / "results").rglob(".*.partial") if path.is_dir()]
    found.left = len(hidden) + len(list(service.scratch.glob("*")) if service.scratch.is_dir() else [])
    return found


def _ended_once(client: Client, job_id: str) -> bool:
    """Whether the job's events are numbered without a gap and its last one is its only end."""
    events = list(client.watch(job_id, follow=False))
    ends = [event for event in events if event.kind is EventKind.STATE and event.payload["state"] == "SUCCEEDED"]
    numbers = [event.seq for event in events]
    return numbers == list(range(1, len(events) + 1)) and len(ends) == 1 and events[-1] is ends[0]


def _bytes(group: Path) -> bytes:
    """The files of the finest labels, one after another."""
    folder = group / "labels" / "nuclei" / "0"
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def _wait_for_tidiness(service: SoakService) -> None:
    """The last jobs remove their scratch after they have ended."""
    deadline = time.monotonic() + 60
    while service.scratch.is_dir() and any(service.scratch.iterdir()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _image(folder: Path) -> str:
    """A plane of 64 x 64 pixels with a few bright disks."""
    place = folder / "images"
    shutil.rmtree(place, ignore_errors=True)
    (place / "results").mkdir(parents=True)
    y, x = np.indices((64, 64), dtype=np.float32)
    distance = np.hypot(y % 21 - 10, x % 21 - 10)
    noise = np.random.default_rng(1).normal(0, 8, (64, 64))
    np.savez(place / "plane.npz", image=(100 + 700 * (distance < 7) + noise).astype(np.uint16))
    target = str(place / "plane.ome.zarr")
    try:
        convert(str(place / "plane.npz"), target)
    except NoyauError:
        Store(target).remove("")
        raise
    return target


def _counts(soak: Soak, course: _Course, seconds: float, found: _Found) -> list[Row]:
    where = machine()

    def row(name: str, value: float, unit: str, note: str = "") -> Row:
        return Row(BENCH, name, value, unit, note, where)

    killed = ", ".join(f"{count} {what}s" for what, count in sorted(course.killed.items()))
    return [
        row("jobs", len(course.ids), "jobs", f"{soak.jobs / seconds * 60:.1f} a minute; {found.attempts} attempts"),
        row("kill -9", sum(course.killed.values()), "processes", killed),
        row("lost", found.lost, "jobs", "; ".join(found.why[:5])),
        row("doubled", found.doubled, "jobs", "recorded or ended twice"),
        row("different", found.different, "jobs", "other labels than the rest"),
        row("left behind", found.left, "folders", "hidden groups and scratch"),
    ]


def growth(weights: Sequence[Weight], settled: int) -> list[Row]:
    """Memory of each process that lived on after `settled` jobs: how much, and how it changed per 100 jobs.

    The change is the slope of a straight line through all weights of the process (least squares).
    """
    rows = []
    where = machine()
    for role, pid in dict.fromkeys((w.role, w.pid) for w in weights):
        own = [(w.jobs, w.mebibytes) for w in weights if w.pid == pid and w.jobs >= settled]
        jobs, mebibytes = np.array(own).T if own else (np.zeros(0), np.zeros(0))
        if len(own) < 3 or np.ptp(jobs) < 1:
            continue
        slope = float(np.polyfit(jobs, mebibytes, 1)[0]) * 100
        note = f"{mebibytes[0]:.0f} to {mebibytes[-1]:.0f} MiB over {np.ptp(jobs):.0f} jobs without kills"
        rows.append(Row(BENCH, f"memory of a {role}", slope, "MiB per 100 jobs", note, where))
    return rows
