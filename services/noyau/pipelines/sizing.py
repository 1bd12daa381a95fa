"""How large the nuclei of an image are to the model, from the nuclei that it finds there.

Nuclei of another species or another objective may be three times smaller or larger than those that a model was
trained on. A bright crop of the image, or all of a small one, is segmented as the voxel size says. Where the nuclei
found are much smaller or larger than the model's, it is segmented one size further, and so on, until what is found has
the size that was looked for. A network that is shown nuclei of the wrong size fuses small ones and breaks up large
ones, so one look can not tell how far to go; but it can tell in which direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from noyau.decoding.whole import segment_whole
from noyau.domain.errors import LimitExceeded
from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.image import ImageSource
from noyau.domain.model import ModelInfo
from noyau.inference.backend import Backend
from noyau.pipelines.frames import Frame
from noyau.pipelines.prepare import ImagePlan
from noyau.pipelines.statistics import Intensity

SMALLER = (0.71, 0.5, 0.35)
LARGER = (1.41, 2.0, 2.83)
"""Nucleus sizes that are tried one after another, relative to the size that the image's voxel size promises."""

USUAL = {3: (0.85, 1.9), 2: (0.38, 1.5)}
"""Median diameters found, relative to the model's, that need no other size, by dimensions of the model.

Beyond them F1 rose at another size, on our synthetic tissue (3D) and images of BBBC038 and BBBC039 (2D).
"""

INSIDE = 1.06
"""How far above the lower end a search among smaller sizes must come: near it, dense nuclei are still partly fused."""

DOUBT = 0.03
"""How much less sure than at the usual size the model may be at another one."""

CORE = {3: (32, 128, 128), 2: (1, 512, 512)}
"""Largest crop z/y/x on the model's grid, by dimensions of the model."""

PROBES = 27
"""Most places of the image that are looked at for a bright one."""


@dataclass(frozen=True)
class Trial:
    """One size: its ratio, how many nuclei were found, their median diameter as a multiple of the model's, and the
    mean probability inside them (0 and 0 if none)."""

    ratio: float
    nuclei: int
    size: float
    certainty: float


def fit_ratio(
    source: ImageSource,
    time: int,
    intensity: Intensity,
    plan_for: Callable[[float], ImagePlan],
    network: Backend,
    check: Callable[[], None],
) -> tuple[float, tuple[Trial, ...]]:
    """The ratio of the nuclei's size to the usual one, and all trials. 1 where nothing is found at the usual size.

    Args:
        source: the opened image.
        time: the time point to look at.
        intensity: what normalises it.
        plan_for: the plan of the image for nuclei of a ratio; LimitExceeded ends the search there.
        network: of the model.
        check: called between passes; raises to stop.
    """
    usual_plan = plan_for(1.0)
    focus = brightest_place(source, time, _probe_shape(source, usual_plan), check)

    def attempt(ratio: float, plan: ImagePlan) -> Trial:
        check()
        return Trial(ratio, *_try(Frame(source, time, plan, (), intensity, Path(), ""), focus, network, check))

    trials = [attempt(1.0, usual_plan)]
    usual = best = trials[0]
    smallest, largest = USUAL[usual_plan.model.ndim]
    for ratio in _further(usual, smallest, largest):
        try:
            trial = attempt(ratio, plan_for(ratio))
        except LimitExceeded:
            break
        trials.append(trial)
        if not trial.nuclei or trial.certainty < usual.certainty - DOUBT:
            break
        best = trial
        if trial.size >= smallest * INSIDE if ratio < 1 else trial.size <= largest:
            break
    return best.ratio, tuple(trials)


def _further(usual: Trial, smallest: float, largest: float) -> tuple[float, ...]:
    """The sizes to try after the usual one."""
    if not usual.nuclei or smallest <= usual.size <= largest:
        return ()
    return SMALLER if usual.size < smallest else LARGER


def brightest_place(
    source: ImageSource, time: int, size: Index3, check: Callable[[], None]
) -> tuple[float, float, float]:
    """Centre z/y/x, as shares of the image, of the brightest of a few evenly spread boxes."""
    shape = source.info.shape
    counts = [min(3, max(1, n // s)) for n, s in zip(shape, size, strict=True)]
    best, place = -np.inf, (0.5, 0.5, 0.5)
    for index in list(np.ndindex(*counts))[:PROBES]:
        check()
        middle = [(i + 0.5) / n for i, n in zip(index, counts, strict=True)]
        box = _box_around(middle, shape, size)
        mean = float(np.mean(source.read(box, time=time), dtype=np.float64))
        if mean > best:
            best, place = mean, (middle[0], middle[1], middle[2])
    return place


def _probe_shape(source: ImageSource, plan: ImagePlan) -> Index3:
    """The crop at the usual size, in voxels of the image."""
    core = CORE[plan.model.ndim]
    size = (round(c * s) for c, s in zip(core, plan.scaling.step, strict=True))
    return as_index(max(1, min(n, s)) for n, s in zip(source.info.shape, size, strict=True))


def _box_around(middle: list[float] | tuple[float, ...], shape: Index3, size: Index3) -> Box:
    starts = [min(max(0, round(m * n - s / 2)), max(0, n - s)) for m, n, s in zip(middle, shape, size, strict=True)]
    return Box(as_index(starts), as_index(a + s for a, s in zip(starts, size, strict=True))).clipped(shape)


def _try(
    frame: Frame, focus: tuple[float, float, float], network: Backend, check: Callable[[], None]
) -> tuple[int, float, float]:
    """Number of nuclei around a place, their size relative to the model's, and the mean probability inside them."""
    plan, model = frame.plan, frame.plan.model
    window, inside = _crop(plan, focus)
    prediction = network.predict(frame.window(window)[None], check=check)[0]
    prediction = prediction[(slice(None), *inside.relative_to(window.start).slices)]
    found = segment_whole(np.ascontiguousarray(prediction), plan.vote, plan.decoder)
    if not found.any():
        return 0, 0.0, 0.0
    diameters = _diameters(np.bincount(found.ravel())[1:], model)
    return len(diameters), float(np.median(diameters)) / model.diameter, float(prediction[0][found > 0].mean() / 255)


def _crop(plan: ImagePlan, focus: tuple[float, float, float]) -> tuple[Box, Box]:
    """The window to predict, and the box in it to segment: the whole of a small image, or a crop around a place."""
    grid = plan.grid
    size = as_index(_multiple(c, s) for c, s in zip(CORE[plan.model.ndim], grid.stride, strict=True))
    corner = _box_around(focus, plan.scaling.shape, size).start
    # One window shape for all sizes, or the one that segments the image later: a network is compiled for each.
    core = Box(corner, as_index(a + s for a, s in zip(corner, size, strict=True)))
    window = core.grown(grid.halo)
    if len(grid.tiles) == 1 and prod(grid.window) <= window.voxels:
        return grid.tiles[0].padded, grid.tiles[0].core
    return window, core.clipped(plan.scaling.shape)


def _diameters(voxels: np.ndarray, model: ModelInfo) -> np.ndarray:
    """Of balls (2D: discs) of as many voxels of the model's grid, in the unit of the model's diameter."""
    z, y, x = model.voxel_size or (1.0, 1.0, 1.0)
    if model.ndim == 2:
        return np.asarray(2 * np.sqrt(voxels * y * x / np.pi))
    return np.asarray(np.cbrt(6 * voxels * z * y * x / np.pi))


def _multiple(size: int, stride: int) -> int:
    return max(stride, size // stride * stride)
