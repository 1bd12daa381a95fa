"""Maximum projections of an image and its labels, gathered block by block at a bounded size."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from noyau.domain.geometry import Box, Index3, VoxelSize

MAX_SIDE = 1024
_FAR = np.iinfo(np.int64).max


@dataclass(frozen=True)
class View:
    """One projection.

    Attributes:
        image: largest intensity along the line of sight, shape (rows, columns), float32; NaN where nothing was added.
        labels: the first object along the line of sight, 0 for none, int64, same shape.
        pixel_um: height and width of a pixel in micrometres.
    """

    image: np.ndarray
    labels: np.ndarray
    pixel_um: tuple[float, float]


class ProjectionAccumulator:
    """Collects the projections of a volume that arrives in blocks, in any order; not safe for several threads.

    A pixel stands for `stride` voxels per axis, so that no side is longer than `max_side` pixels: memory does not
    depend on the size of the image. Intensities are the maximum over all voxels behind a pixel, labels are taken
    from every `stride`-th voxel.
    """

    def __init__(self, shape: Index3, voxel_size: VoxelSize, max_side: int = MAX_SIDE) -> None:
        """Prepares empty projections of an image of the given z/y/x shape."""
        plane = max(1, ceil(max(shape[1:]) / max_side))
        self.stride: Index3 = (max(1, ceil(shape[0] / max_side)), plane, plane)
        self._pixel = tuple(v * s for v, s in zip(voxel_size, self.stride, strict=True))
        size = [ceil(n / s) for n, s in zip(shape, self.stride, strict=True)]
        # By the axis that is looked along; a 2D image has no side views.
        self._axes = (0,) if shape[0] == 1 else (0, 1, 2)
        panels = {axis: (size[1:], (size[0], size[2]), (size[0], size[1]))[axis] for axis in self._axes}
        self._image = {axis: np.full(panel, np.nan, np.float32) for axis, panel in panels.items()}
        self._labels = {axis: np.zeros(panel, np.int64) for axis, panel in panels.items()}
        self._depth = {axis: np.full(panel, _FAR, np.int64) for axis, panel in panels.items()}

    def add(self, box: Box, image: np.ndarray, labels: np.ndarray) -> None:
        """Adds a block.

        Args:
            box: where the block lies in the image.
            image, labels: its voxels, shape (z, y, x) = `box.shape`.
        """
        if box.voxels == 0:
            return
        # The first sampled voxel at or after the block's start, and the pixel that it belongs to.
        skip = [-a % s for a, s in zip(box.start, self.stride, strict=True)]
        sampled = labels[tuple(slice(k, None, s) for k, s in zip(skip, self.stride, strict=True))]
        first = [(a + k) // s for a, k, s in zip(box.start, skip, self.stride, strict=True)]
        for axis in self._axes:
            kept = [k for k in range(3) if k != axis]
            self._add_image(axis, kept, box, image)
            if sampled.size:
                self._add_labels(axis, kept, first, sampled)

    def views(self) -> tuple[View, ...]:
        """The projections along z (rows y, columns x), and for a volume along y (z, x) and along x (z, y)."""
        pixel = self._pixel
        sizes = ((pixel[1], pixel[2]), (pixel[0], pixel[2]), (pixel[0], pixel[1]))
        return tuple(View(self._image[a].copy(), self._labels[a].copy(), sizes[a]) for a in self._axes)

    def _add_image(self, axis: int, kept: list[int], box: Box, image: np.ndarray) -> None:
        flat = image.max(axis=axis).astype(np.float32)
        window = []
        for position, k in enumerate(kept):
            pixels = np.arange(box.start[k], box.stop[k]) // self.stride[k]
            starts = np.flatnonzero(np.diff(pixels, prepend=pixels[0] - 1))
            flat = np.maximum.reduceat(flat, starts, axis=position)
            window.append(slice(int(pixels[0]), int(pixels[-1]) + 1))
        target = self._image[axis][tuple(window)]
        np.fmax(target, flat, out=target)

    def _add_labels(self, axis: int, kept: list[int], first: list[int], sampled: np.ndarray) -> None:
        nearest = (sampled != 0).argmax(axis=axis)
        found = np.take_along_axis(sampled, np.expand_dims(nearest, axis), axis).squeeze(axis).astype(np.int64)
        depth = np.where(found != 0, nearest + first[axis], _FAR)
        window = tuple(slice(first[k], first[k] + sampled.shape[k]) for k in kept)
        closer = depth < self._depth[axis][window]
        self._depth[axis][window][closer] = depth[closer]
        self._labels[axis][window][closer] = found[closer]
