"""What everything around the network costs."""

from __future__ import annotations

from math import prod
from time import perf_counter

from noyau.bench.networks import seconds_per_pass
from noyau.bench.rows import Row
from noyau.bench.setting import Setting, noted, row
from noyau.bench.volumes import shape_of, write_tiled


def bench_pipeline(setting: Setting, voxels: float) -> list[Row]:
    """Time of a job from file to file over the time of one bare forward pass over as many voxels, side by side.

    The bare pass takes the pipeline's own windows, without overlap, on the same library and device; the ratio
    therefore holds halos, reading, decoding, writing, pyramid, measurement, picture and provenance. The network
    is warm in both.
    """
    setting.reporter.stage("image")
    shape = shape_of(voxels)
    image = write_tiled(setting.folder / "pipeline.ome.zarr", setting.block.image, shape, setting.voxel_size)
    setting.reporter.stage("bare forward pass")
    network, window = setting.network(), setting.window(image)
    bare = seconds_per_pass(network, window) / prod(window) * prod(shape)
    setting.reporter.stage("job from file to file")
    setting.reporter.check()
    begin = perf_counter()
    result = setting.segment(image, "bench-pipeline")
    whole = perf_counter() - begin
    note = noted(
        [
            setting.info.ref,
            f"{prod(shape) / 1e6:.0f} Mvoxel",
            f"{result.nuclei} nuclei",
            f"{network.name} on {network.device}",
            f"window {'x'.join(map(str, window))}",
        ]
    )
    return [
        row("pipeline", "job from file to file", whole, "s", note),
        row("pipeline", "bare forward pass", bare, "s", note),
        row("pipeline", "job / bare forward pass", whole / bare, "times", note),
        row("pipeline", "job", prod(shape) / 1e6 / whole, "Mvoxel/s", note),
    ]
