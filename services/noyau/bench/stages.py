"""How fast the decoder and the measurement run on one core."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from scipy import ndimage as ndi

from noyau.bench.networks import mean_seconds
from noyau.bench.rows import Row
from noyau.bench.setting import Setting, noted, row
from noyau.decoding import vote
from noyau.domain.geometry import Box, as_index
from noyau.measurement import measure

REPEAT = (2, 2, 2)
LEAST_SECONDS = 3.0


def bench_stages(setting: Setting) -> list[Row]:
    """Decoding of a prediction as a perfect network would give it, and measurement of the objects, on one thread."""
    block, params = setting.block, setting.info.vote
    prediction = np.tile(ideal_prediction(block.labels), (1, *REPEAT))
    shape = as_index(prediction.shape[1:])
    foreground = float((prediction[0] > 0).mean())
    rows = []

    setting.reporter.stage("decoder")
    vote.decode(prediction, (0, 0, 0), shape, params)
    seconds = mean_seconds(lambda: vote.decode(prediction, (0, 0, 0), shape, params), 2, LEAST_SECONDS)
    note = noted([f"{prediction[0].size / 1e6:.0f} Mvoxel", f"{foreground:.0%} foreground", "1 thread"])
    rows.append(row("stages", "decoder, whole block", prediction[0].size / 1e6 / seconds, "Mvoxel/s", note))

    setting.reporter.stage("decoder with halo")
    core = Box.of(shape).grown([-h for h in vote.halo(params)])
    if min(core.stop[axis] - core.start[axis] for axis in range(3)) > 0:
        seconds = mean_seconds(lambda: vote.decode(prediction, (0, 0, 0), shape, params, core=core), 2, LEAST_SECONDS)
        size = "x".join(map(str, core.shape))
        rows.append(row("stages", "decoder, core only", core.voxels / 1e6 / seconds, "Mvoxel/s", f"core {size}"))

    setting.reporter.stage("measurement")
    setting.reporter.check()
    begin = perf_counter()
    table = measure(block.labels, {"0": block.image}, setting.voxel_size)
    seconds = perf_counter() - begin
    note = noted([f"{len(table)} nuclei", "1 channel", "1 thread"])
    rows.append(row("stages", "measurement", block.labels.size / 1e6 / seconds, "Mvoxel/s", note))
    rows.append(row("stages", "measurement", len(table) / seconds, "nuclei/s", note))
    return rows


def ideal_prediction(labels: np.ndarray) -> np.ndarray:
    """The quantised prediction uint8 (4, Z, Y, X) of a network that knows the labels, with offsets off by a voxel."""
    ids = np.arange(1, int(labels.max(initial=0)) + 1)
    centres = np.zeros((len(ids) + 1, 3))
    if len(ids):
        centres[1:] = np.array(ndi.center_of_mass(labels > 0, labels, ids))
    noise = np.random.default_rng(0)
    prediction = np.zeros((4, *labels.shape), np.uint8)
    prediction[0] = np.where(labels > 0, 230, 0)
    for axis, coordinate in enumerate(np.ogrid[tuple(slice(n) for n in labels.shape)]):
        offset = centres[labels, axis] - coordinate + noise.normal(0, 1, labels.shape)
        rounded = np.clip(np.rint(offset), -127, 127).astype(np.int8)
        prediction[axis + 1] = np.where(labels > 0, rounded, 0).astype(np.int8).view(np.uint8)
    return prediction
