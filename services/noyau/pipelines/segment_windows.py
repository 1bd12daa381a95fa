"""Decoding by overlapping windows, for decoders that are not local, and the joining of what the windows found."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from noyau.assembly.objects import summarise
from noyau.assembly.stitching import Joins, agreements, join, provisional_names
from noyau.decoding.windowed import WindowDecoder
from noyau.domain.geometry import Box, Index3, as_index
from noyau.pipelines.frames import Frame
from noyau.pipelines.prepare import ImagePlan
from noyau.planning.units import Unit

WINDOW_UNIT: Index3 = (64, 256, 256)
"""Size wanted of a unit: smaller than the vote's, since some predictions have tens of bytes a voxel."""

MOST_BYTES = 2 << 30
"""Predictions that are in memory at a time for decoding."""


def decode_threads(plan: ImagePlan, threads: int) -> int:
    """How many windows may be decoded at a time, at most `threads`, so that their predictions stay in memory."""
    if plan.decoder is None:
        return threads
    window = prod(
        min(n, unit + 2 * overlap)
        for n, unit, overlap in zip(plan.scaling.shape, WINDOW_UNIT, plan.decoder.overlap, strict=True)
    )
    return max(1, min(threads, MOST_BYTES // (plan.planes * window)))


def window_box(frame: Frame, unit: Unit, decoder: WindowDecoder) -> Box:
    """The box of the image that is decoded for a unit: the unit and its overlap with what lies around it."""
    margin = as_index(round(o * s) for o, s in zip(decoder.overlap, frame.plan.scaling.step, strict=True))
    return unit.box.grown(margin).clipped(frame.plan.info.shape)


def decode_window(frame: Frame, unit: Unit, decoder: WindowDecoder) -> str:
    """Decodes and stores a unit and its overlap; returns the unit's name."""
    plan = frame.plan
    window = window_box(frame, unit, decoder)
    block = plan.scaling.to_model(window)
    prediction = frame.predictions.read(block)
    labels = plan.scaling.labels_to_image(decoder.decode(prediction), block.start, window)
    names = provisional_names(labels, window, plan.info.shape, unit.index, len(frame.units))
    core = names[unit.box.relative_to(window.start).slices]
    if len(frame.units) > 1:
        frame.provisional.write_window(unit.name, names)
    foreground = plan.scaling.labels_to_image(prediction[0], block.start, unit.box)
    frame.provisional.write(unit.name, core, summarise(core, unit.box.start, foreground))
    return unit.name


def join_windows(frame: Frame, decoder: WindowDecoder, check: Callable[[], None]) -> Joins:
    """Which names of the units are one object, from what neighbouring windows found in the voxels that they share."""
    windows = [(unit, window_box(frame, unit, decoder)) for unit in frame.units]
    pairs = []
    for index, (one, box) in enumerate(windows):
        for other, other_box in windows[index + 1 :]:
            common = box.intersection(other_box)
            if common.voxels:
                check()
                here = frame.provisional.read_window(one.name, common.relative_to(box.start))
                there = frame.provisional.read_window(other.name, common.relative_to(other_box.start))
                pairs.append(agreements(here, there))
    return join(pairs)
