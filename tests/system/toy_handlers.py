"""Handlers for the tests of the job machinery: small, resumable, and bad on demand.

The behaviour is `spec.model`, the number of units `spec.workers`. Every handler keeps a diary of what it did under
the folder of the settings, so that tests can tell what ran, when, and in which process.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noyau.domain.errors import DamagedData
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, SegmentSpec
from noyau.jobs.context import Handler, JobContext


def toy_spec(behaviour: str, units: int = 1) -> SegmentSpec:
    return SegmentSpec((ImageRef("toy"),), model=behaviour, workers=units)


def build_handlers(settings: Mapping[str, Any]) -> Mapping[str, Handler]:
    return {"segment": ToyHandler(Path(settings["folder"]), float(settings.get("unit_seconds", 0.01)))}


class ToyHandler:
    """Does `units`, or what else `spec.model` says."""

    def __init__(self, folder: Path, unit_seconds: float) -> None:
        self._folder = folder
        self._unit_seconds = unit_seconds

    def __call__(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        with self._alone(context.job_id):
            self._note(context.job_id, "begin")
            result: JobResult = getattr(self, f"_{spec.model}")(spec, context)
            self._note(context.job_id, "end")
        return result

    def cleanup(self, spec: SegmentSpec, context: JobContext) -> None:
        self._note(context.job_id, "cleanup")

    def _units(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        """Writes one file per unit; units that the ledger knows are skipped."""
        total = spec.workers or 1
        context.reporter.stage("units")
        done = context.ledger.finished("units")
        for number in range(total):
            context.reporter.check()
            if str(number) in done:
                continue
            self._note(context.job_id, f"start {number}")
            time.sleep(self._unit_seconds)
            part = context.workdir / f"{number}.part"
            part.write_text(f"unit {number}")
            (self._folder / context.job_id).mkdir(exist_ok=True)
            part.rename(self._folder / context.job_id / str(number))
            context.ledger.mark("units", str(number), {"number": number})
            self._note(context.job_id, f"marked {number}")
            context.reporter.progress(number + 1, total, "unit")
        return JobResult(nuclei=total)

    def _nothing(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        return JobResult(nuclei=1)

    def _stuck(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        """Native code that neither checks nor comes back, nor lets another thread of Python run."""
        (context.workdir / "scratch").write_text("half")
        ctypes.PyDLL(None).sleep(600)
        return JobResult()

    def _heavy(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        """Native code that keeps Python's lock for some seconds, so that no heartbeat comes."""
        ctypes.PyDLL(None).sleep(4)
        return JobResult()

    def _polite(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        """Works for long but checks often."""
        while True:
            context.reporter.check()
            time.sleep(0.02)

    def _killer(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        """Kills its worker, as running out of memory does."""
        os.kill(os.getpid(), 9)
        return JobResult()

    def _damaged(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        raise DamagedData("Chunk 7 is damaged.", "Restore it.")

    def _surprise(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        raise ValueError("password=hunter2")

    def _quits(self, spec: SegmentSpec, context: JobContext) -> JobResult:
        raise SystemExit(3)

    def _note(self, job_id: str, what: str) -> None:
        line = f"{what} pid={os.getpid()} time={time.time():.4f}\n"
        with (self._folder / f"{job_id}.diary").open("a") as diary:
            diary.write(line)

    @contextmanager
    def _alone(self, job_id: str) -> Iterator[None]:
        """Notes when another living process runs the same job at the same time."""
        with (self._folder / f"{job_id}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._note(job_id, "TOGETHER")
            yield


def diary(folder: Path, job_id: str) -> list[str]:
    """What was done for a job, in order, without pids and times."""
    path = folder / f"{job_id}.diary"
    return [line.partition(" pid=")[0] for line in path.read_text().splitlines()] if path.exists() else []
