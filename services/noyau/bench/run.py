"""Runs the benchmarks that were asked for, one after another in one process, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from noyau.bench.decoders import bench_decoders
from noyau.bench.memory import bench_memory
from noyau.bench.networks import bench_network
from noyau.bench.omero_ways import bench_omero
from noyau.bench.pipeline import bench_pipeline
from noyau.bench.rows import Row
from noyau.bench.setting import Setting
from noyau.bench.spread import BENCH as DASK
from noyau.bench.spread import bench_dask
from noyau.bench.stages import bench_stages
from noyau.domain.errors import InvalidInput
from noyau.domain.progress import Reporter, SilentReporter

NAMES = ("network", "stages", "decoders", "pipeline", "memory")
OMERO = "omero"
"""Not among those that run unasked: it needs the client of OMERO."""
MEMORY_VOXELS = (0.1e9, 0.4e9, 1.6e9)
PIPELINE_VOXELS = 16e6


def run(
    which: Sequence[str] = NAMES,
    *,
    model: str = "nuclei-3d",
    models: Sequence[Path] | None = None,
    memory_voxels: Sequence[float] = MEMORY_VOXELS,
    pipeline_voxels: float = PIPELINE_VOXELS,
    folder: Path | None = None,
    reporter: Reporter | None = None,
) -> list[Row]:
    """Measures and returns the table, in the order of `NAMES`.

    Args:
        which: some of `NAMES`: `network` (OpenVINO against torch), `stages` (decoder, measurement), `decoders` (all of
            them on perfect predictions), `pipeline` (a job against one bare forward pass), `memory` (peak memory
            against the size of the image); or `omero` (pixels and masks against omero-py and omero-rois).
        model: reference of a 3D model.
        models: folders of model packages; None means the shipped ones.
        memory_voxels: sizes of the images of `memory`. Two bytes a voxel of disk are needed, and the time of a job.
        pipeline_voxels: size of the image of `pipeline`.
        folder: where to make temporary images; None means the system's place.
        reporter: is told what is being measured, and says when to stop.

    Raises:
        InvalidInput: an unknown benchmark, or a size that is not positive.
        NotFound: there is no such model.
    """
    unknown = sorted(set(which) - {*NAMES, OMERO, DASK})
    if unknown:
        raise InvalidInput(f"There is no benchmark '{unknown[0]}'.", f"Known are: {', '.join((*NAMES, OMERO, DASK))}.")
    if min([pipeline_voxels, *memory_voxels], default=0) <= 0:
        raise InvalidInput("A benchmark needs images of more than 0 voxels.")
    rows: list[Row] = []
    with TemporaryDirectory(prefix="noyau-bench-", dir=folder) as place:
        setting = Setting(model, None if models is None else tuple(models), Path(place), reporter or SilentReporter())
        if setting.info.ndim != 3:
            raise InvalidInput(f"The model {setting.info.ref} is for 2D images.", "Take a 3D model.")
        if "network" in which:
            rows += bench_network(setting)
        if "stages" in which:
            rows += bench_stages(setting)
        if "decoders" in which:
            rows += bench_decoders(setting)
        if "pipeline" in which:
            rows += bench_pipeline(setting, pipeline_voxels)
        if DASK in which:
            rows += bench_dask(setting, pipeline_voxels)
        if "memory" in which:
            rows += bench_memory(setting, memory_voxels)
        if OMERO in which:
            rows += bench_omero(setting)
    return rows
