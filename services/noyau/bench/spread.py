"""A volume segmented by one worker process and by two, through a Dask scheduler on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from noyau.bench.rows import Row
from noyau.bench.setting import Setting, row
from noyau.bench.volumes import shape_of, write_tiled
from noyau.compute.shared_scratch import mark_scratch
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InternalError
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.pipelines import segment
from noyau.pipelines.context import PipelineContext
from noyau.spreading import require_dask, software_version

if TYPE_CHECKING:
    from noyau.compute.dask import DaskSite

BENCH = "dask"
_START_SECONDS = 300.0


def bench_dask(setting: Setting, voxels: float, workers: tuple[int, ...] = (1, 2)) -> list[Row]:
    """Seconds of a job by number of workers, each of one thread, and how much faster the last is than the first.

    Args:
        setting: model, folder, reporter.
        voxels: size of the image.
        workers: numbers of workers to compare.

    Raises:
        InternalError: the labels are not the same, or a process does not start.
        FailedPrecondition: Dask is not installed.
    """
    require_dask()
    shape = shape_of(voxels)
    image = write_tiled(setting.folder / "spread.ome.zarr", setting.block.image, shape, setting.voxel_size)
    rows, seconds, labels = [], [], []
    for count in workers:
        setting.reporter.stage(f"{count} workers")
        taken, found = _measure(setting, image, count)
        seconds.append(taken)
        labels.append(found)
        note = f"{'x'.join(map(str, shape))}, one thread each, {prod(shape) / 1e6 / taken:.2f} Mvoxel/s"
        rows.append(row(BENCH, f"{count} worker{'s' if count > 1 else ''}", taken, "s", note))
    if any(found != labels[0] for found in labels):
        raise InternalError("The labels depend on the number of workers.")
    ratio = f"{workers[-1]} workers against {workers[0]}"
    return [*rows, row(BENCH, ratio, seconds[0] / seconds[-1], "times as fast", "the same labels bit for bit")]


def _measure(setting: Setting, image: str, count: int) -> tuple[float, dict[str, bytes]]:
    """Seconds of one job on so many warm workers, and the files of its labels."""
    from noyau.compute.dask import DaskSite
    from noyau.compute.dask_link import SchedulerPlace

    folder = setting.folder / f"workers{count}"
    scratch = folder / "scratch"
    mark_scratch(scratch)
    place = SchedulerPlace(f"tcp://127.0.0.1:{_free_port()}", patience=_START_SECONDS)
    site = DaskSite(place, scratch, software_version())
    with _processes(place.address, scratch, Path(image).parent, folder, count, setting):
        with site.crew(setting.reporter.check, lambda text: None) as crew:
            deadline = time.monotonic() + _START_SECONDS
            crew.choose("cpu", "auto")
            while crew.count() < count:
                setting.reporter.check()
                if time.monotonic() > deadline:
                    raise InternalError(f"The workers do not start; the logs are in {folder}.")
                time.sleep(0.2)
        # The first run loads and compiles the network on every worker.
        _run(setting, image, site, "warm", count)
        begin = time.perf_counter()
        _run(setting, image, site, f"labels{count}", count)
        seconds = time.perf_counter() - begin
    levels = Path(image) / "labels" / f"labels{count}" / "0"
    return seconds, {str(p.relative_to(levels)): p.read_bytes() for p in sorted(levels.rglob("*")) if p.is_file()}


def _run(setting: Setting, image: str, site: DaskSite, name: str, count: int) -> None:
    job = f"{name}-{count}"
    context = PipelineContext(
        registry=setting.registry,
        access=AccessPolicy.everything(),
        workdir=site.scratch / job,
        backends=None,  # type: ignore[arg-type]  # only the workers run networks
        reporter=setting.reporter,
        job_id=job,
        threads=1,
        site=site,
    )
    context.workdir.mkdir(exist_ok=True)
    spec = SegmentSpec((ImageRef(image),), labels=name, model=setting.info.ref, measure=False, overwrite=True)
    segment.run(spec, context)


@contextlib.contextmanager
def _processes(address: str, scratch: Path, root: Path, folder: Path, count: int, setting: Setting) -> Iterator[None]:
    port = address.rpartition(":")[2]
    started = []
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOYAU_DASK__")}
    environment = {**kept, "OMP_NUM_THREADS": "1"}
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    worker = ["-m", "noyau.cli", "worker", "--scheduler", address, "--scratch", str(scratch), "--root", str(root)]
    worker += ["--device", "cpu", "--slots", str(count), "--threads", "1"]
    try:
        for name, command in (("scheduler", [*scheduler, "--no-show"]), ("worker", worker)):
            with (folder / f"{name}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [sys.executable, *command],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env=environment,
                    )
                )
        yield
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in reversed(started):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
