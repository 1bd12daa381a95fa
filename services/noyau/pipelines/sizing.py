"""How large the nuclei of an image are to the model: the size at which it is surest of what it finds.

Nuclei of another species or another objective may be three times smaller or larger than those that a model was
trained on. A bright crop of the image is segmented as if its nuclei had one size after another; the mean probability
inside the nuclei found tells how much they look like nuclei.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noyau.decoding.whole import segment_whole
from noyau.domain.errors import LimitExceeded
from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.image import ImageSource
from noyau.inference.backend import Backend
from noyau.pipelines.frames import Frame
from noyau.pipelines.prepare import ImagePlan
from noyau.pipelines.statistics import Intensity

RATIOS = (0.35, 0.5, 0.71, 1.0, 1.41, 2.0, 2.83)
"""Nucleus sizes that are tried, relative to the size that the image's voxel size promises."""

ADVANTAGE = 0.03
"""How much surer of another size the model must be before the size by voxel size is given up."""

CORE = {3: (32, 128, 128), 2: (1, 512, 512)}
"""Largest crop z/y/x on the model's grid, by dimensions of the model."""

PROBES = 27
"""Most places of the image that are looked at for a bright one."""


@dataclass(frozen=True)
class Trial:
    """One size: its ratio, how many nuclei were found, and the mean probability inside them (0 if none)."""

    ratio: float
    nuclei: int
    certainty: float


def fit_ratio(
    source: ImageSource,
    time: int,
    intensity: Intensity,
    plan_for: Callable[[float], ImagePlan],
    network: Backend,
    check: Callable[[], None],
) -> tuple[float, tuple[Trial, ...]]:
    """The best of `RATIOS`, and all trials. 1 where nothing is found at any size.

    Args:
        source: the opened image.
        time: the time point to look at.
        intensity: what normalises it.
        plan_for: the plan of the image for nuclei of a ratio; LimitExceeded leaves that ratio out.
        network: of the model.
        check: called between passes; raises to stop.
    """
    focus = brightest_place(source, time, _probe_shape(source, plan_for(1.0)), check)
    trials = []
    for ratio in RATIOS:
        check()
        try:
            plan = plan_for(ratio)
        except LimitExceeded:
            continue
        frame = Frame(source, time, plan, (), intensity, Path(), "")
        trials.append(Trial(ratio, *_try(frame, focus, network, check)))
    usual = next((t for t in trials if t.ratio == 1.0 and t.nuclei), Trial(1.0, 0, 0.0))
    best = max(trials, key=lambda t: t.certainty, default=usual)
    return (best.ratio if best.certainty > usual.certainty + ADVANTAGE else 1.0), tuple(trials)


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
) -> tuple[int, float]:
    """Number of nuclei around a place, and the mean probability inside them."""
    plan = frame.plan
    grid, model = plan.grid, plan.model
    size = as_index(_multiple(c, s) for c, s in zip(CORE[model.ndim], grid.stride, strict=True))
    corner = _box_around(focus, plan.scaling.shape, size).start
    # One window shape for all sizes: a compiled network is compiled once.
    core = Box(corner, as_index(a + s for a, s in zip(corner, size, strict=True)))
    window = core.grown(grid.halo)
    prediction = network.predict(frame.window(window)[None], check=check)[0]
    inside = core.clipped(plan.scaling.shape)
    prediction = prediction[(slice(None), *inside.relative_to(window.start).slices)]
    found = segment_whole(np.ascontiguousarray(prediction), plan.vote, plan.decoder)
    nuclei = len(np.unique(found[found > 0]))
    return nuclei, float(prediction[0][found > 0].mean() / 255) if nuclei else 0.0


def _multiple(size: int, stride: int) -> int:
    return max(stride, size // stride * stride)
