"""Peak memory of a job against the size of the image. Each size has a process of its own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from math import prod
from pathlib import Path
from time import perf_counter

from noyau.bench.children import run_child
from noyau.bench.rows import Row
from noyau.bench.setting import Setting, noted, row
from noyau.bench.volumes import shape_of, write_tiled


def bench_memory(setting: Setting, sizes: Sequence[float]) -> list[Row]:
    """Largest resident memory of a process that segments images of the given numbers of voxels."""
    rows = []
    for voxels in sizes:
        shape = shape_of(voxels)
        text = "x".join(map(str, shape))
        setting.reporter.stage(f"memory at {voxels / 1e9:g} gigavoxels")
        path = setting.folder / f"memory-{text}.ome.zarr"
        image = write_tiled(path, setting.block.image, shape, setting.voxel_size)
        found = _in_child(setting, image)
        shutil.rmtree(path)
        rate = prod(shape) / 1e6 / found["seconds"]
        note = noted([text, f"{found['nuclei']:.0f} nuclei", f"{found['seconds']:.0f} s", f"{rate:.2f} Mvoxel/s"])
        name = f"peak memory, {prod(shape) / 1e9:.2f} gigavoxels"
        rows.append(row("memory", name, found["peak_bytes"] / 2**30, "GiB", note))
    return rows


def child(request: str) -> str:
    """Runs in the process that is measured: segments one image and tells its own peak."""
    wanted = json.loads(request)
    models = None if wanted["models"] is None else tuple(map(Path, wanted["models"]))
    setting = Setting(wanted["model"], models, Path(wanted["folder"]))
    begin = perf_counter()
    result = setting.segment(wanted["image"], "bench-memory")
    seconds = perf_counter() - begin
    return json.dumps({"seconds": seconds, "nuclei": result.nuclei, "peak_bytes": peak_bytes()})


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if lines:
            return int(lines[0].split()[1]) * 1024
    import resource

    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _in_child(setting: Setting, image: str) -> dict[str, float]:
    request = {
        "model": setting.model,
        "models": None if setting.models is None else [str(path) for path in setting.models],
        "folder": str(setting.folder),
        "image": image,
    }
    found: dict[str, float] = run_child("noyau.bench.memory", "child", request, setting.reporter)
    return found
