"""The percentiles that normalise a whole image, from one bounded pass that does not know of tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.image import ImageSource
from noyau.domain.intensity import percentiles
from noyau.domain.model import Normalisation
from noyau.domain.processing import freeze, steps_from
from noyau.domain.progress import Reporter
from noyau.pipelines.ledgers import UnitBook

INTENSITY = "intensity"
"""Stage of the ledger that holds what was measured."""

BLOCK_VOXELS = 4_000_000
"""Voxels read at a time."""

SAMPLE_VOXELS = 256_000_000
"""Voxels looked at in all; of a larger image only every k-th block is read."""

KEPT_VALUES = 4_000_000
"""Values kept for the percentiles of types that have no small histogram."""


@dataclass(frozen=True)
class Intensity:
    """What normalises an image: the values at the low and the high percentile.

    `is_flat` says that all sampled voxels are equal, so that there is nothing to find. `steps` are those of another
    maker's model with the numbers that the image gives them; they take the place of the percentiles.
    """

    low: float
    high: float
    is_flat: bool = False
    steps: Sequence[Mapping[str, Any]] = ()


def measure_intensity(source: ImageSource, time: int, params: Normalisation, reporter: Reporter) -> Intensity:
    """Percentiles over a time point.

    Exact for 8- and 16-bit images of up to `SAMPLE_VOXELS` voxels; otherwise from a regular sample of blocks and
    voxels that depends on the image's shape and chunks alone.
    """
    voxels = prod(source.info.shape)
    sample = _Sample(voxels) if params.steps else None
    collector = sample or _collector(source.info.dtype, voxels)
    for box in sample_blocks(source.info.shape, source.info.chunk):
        reporter.check()
        collector.add(source.read(box, time=time))
    low, high, smallest, largest = collector.result(params)
    if params.inverted and high >= low > smallest:
        high = smallest
    elif not params.inverted and high <= low < largest:
        # So few bright voxels that the high percentile is background too: stretch to the brightest one.
        high = largest
    steps = [asdict(step) for step in freeze(steps_from(params.steps), sample.values)] if sample else ()
    return Intensity(low, high, smallest == largest, steps)


def measure_once(
    source: ImageSource, time: int, params: Normalisation, book: UnitBook, prefix: str, reporter: Reporter
) -> Intensity:
    """The percentiles of a time point, measured by whoever asks first in a job, and found in its ledger by the others.

    Args:
        source, time, params, reporter: see `measure_intensity`.
        book: of the job.
        prefix: of the image and the time point in the ledger.
    """
    known = book.finished(INTENSITY, prefix)
    if known:
        return Intensity(**known["all"])
    value = measure_intensity(source, time, params, reporter)
    book.mark(INTENSITY, prefix, "all", asdict(value))
    return value


def sample_blocks(shape: Index3, chunk: Index3) -> Iterator[Box]:
    """Boxes of whole chunks in raster order: all of them, or every k-th so that `SAMPLE_VOXELS` are not exceeded."""
    size = _block_shape(shape, chunk)
    starts = [as_index(s) for s in product(*(range(0, n, s) for n, s in zip(shape, size, strict=True)))]
    step = max(1, -(-prod(shape) // SAMPLE_VOXELS))
    # A step that shares a factor with the number of blocks along x would always meet the same columns.
    along_x = -(-shape[2] // size[2])
    while step > 1 and along_x > 1 and np.gcd(step, along_x) > 1:
        step += 1
    for start in starts[::step]:
        yield Box(start, as_index(a + s for a, s in zip(start, size, strict=True))).clipped(shape)


def _block_shape(shape: Index3, chunk: Index3) -> Index3:
    """Chunks joined along x, then y, then z while a block stays small; giant chunks are cut along z, then y."""
    size = [min(c, n) for c, n in zip(chunk, shape, strict=True)]
    for axis in (0, 1):
        while prod(size) > 4 * BLOCK_VOXELS and size[axis] > 1:
            size[axis] = -(-size[axis] // 2)
    for axis in (2, 1, 0):
        while prod(size) * 2 <= BLOCK_VOXELS and size[axis] < shape[axis]:
            size[axis] = min(size[axis] * 2, shape[axis])
    return as_index(size)


class _Histogram:
    """Exact counts of 8- and 16-bit integers."""

    def __init__(self, dtype: np.dtype) -> None:
        self._offset = int(np.iinfo(dtype).min)
        self._counts = np.zeros(int(np.iinfo(dtype).max) - self._offset + 1, np.int64)

    def add(self, block: np.ndarray) -> None:
        values = block.ravel()
        if self._offset:
            values = values.astype(np.int32) - self._offset
        self._counts += np.bincount(values, minlength=len(self._counts))

    def result(self, params: Normalisation) -> tuple[float, float, float, float]:
        """Low and high percentile as `numpy.percentile` gives them, smallest and largest value."""
        ends = np.cumsum(self._counts)
        present = np.flatnonzero(self._counts) + self._offset
        values = [self._at(ends, q / 100 * (ends[-1] - 1)) for q in params.percentiles]
        return values[0], values[1], float(present[0]), float(present[-1])

    def _at(self, ends: np.ndarray, rank: float) -> float:
        below = int(np.floor(rank))
        first, second = np.searchsorted(ends, [below, min(below + 1, ends[-1] - 1)], side="right") + self._offset
        return float(first + (second - first) * (rank - below))


class _Sample:
    """Every k-th value, for types with too many values to count."""

    def __init__(self, voxels: int) -> None:
        self._step = max(1, min(voxels, SAMPLE_VOXELS) // KEPT_VALUES)
        self._kept: list[np.ndarray] = []
        self._range: list[float] = []

    def add(self, block: np.ndarray) -> None:
        values = block.ravel()
        self._kept.append(values[:: self._step].copy())
        self._range += [float(values.min()), float(values.max())]

    @property
    def values(self) -> np.ndarray:
        """The kept values."""
        return np.concatenate(self._kept)

    def result(self, params: Normalisation) -> tuple[float, float, float, float]:
        low, high = percentiles(self.values, params)
        return low, high, min(self._range), max(self._range)


def _collector(dtype: str, voxels: int) -> _Histogram | _Sample:
    kind = np.dtype(dtype)
    if kind.kind in "ui" and kind.itemsize <= 2:
        return _Histogram(kind)
    return _Sample(voxels)
