"""Between the image's grid and the model's grid.

Both grids share the outer corner of their first voxel. Voxel i of the model's grid has its centre at
(i + 1/2) * step image voxels, with one step per axis, so that everything here is a function of global coordinates:
any tile computes the same value for the same voxel, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noyau.domain.geometry import Box, Index3, VoxelSize, as_index

TOLERANCE = 0.1
"""Relative difference of voxel sizes below which an axis is left as it is: models see more variation in training."""

Factors = tuple[float, float, float]


@dataclass(frozen=True)
class Scaling:
    """How an image becomes the model's input.

    Attributes:
        image_shape: z/y/x voxels of the image.
        step: image voxels per voxel of the model's grid, z/y/x; above 1 the image shrinks.
    """

    image_shape: Index3
    step: Factors = (1.0, 1.0, 1.0)

    @property
    def is_identity(self) -> bool:
        return self.step == (1.0, 1.0, 1.0)

    @property
    def shape(self) -> Index3:
        """z/y/x voxels of the image on the model's grid, at least 1 each."""
        return as_index(max(1, round(n / s)) for n, s in zip(self.image_shape, self.step, strict=True))

    def model_voxel(self, image_voxel: VoxelSize) -> VoxelSize:
        """Size of a voxel of the model's grid, micrometres."""
        return image_voxel.scaled(self.step)

    def to_model(self, box: Box) -> Box:
        """The model voxels in which the centres of the image voxels of a box lie."""
        maps = [
            self.lookup(axis, start, stop) for axis, (start, stop) in enumerate(zip(box.start, box.stop, strict=True))
        ]
        return Box(as_index(int(m[0]) for m in maps), as_index(int(m[-1]) + 1 for m in maps))

    def lookup(self, axis: int, start: int, stop: int) -> NDArray[np.intp]:
        """For the image voxels start..stop-1 of an axis, the model voxel that holds the centre of each."""
        centres = (np.arange(start, stop, dtype=np.float64) + 0.5) / self.step[axis]
        found = np.minimum(np.floor(centres).astype(np.intp), self.shape[axis] - 1)
        return np.asarray(found, np.intp)

    def labels_to_image(self, labels: np.ndarray, origin: Index3, box: Box) -> np.ndarray:
        """Nearest-voxel lookup of labels on the model's grid for a box of the image.

        Args:
            labels: z/y/x labels on the model's grid that hold at least `to_model(box)`.
            origin: model coordinates of their first voxel.
            box: image voxels wanted.
        """
        if self.is_identity:
            return labels[box.relative_to(origin).slices]
        maps = [
            self.lookup(axis, start, stop) - o
            for axis, (start, stop, o) in enumerate(zip(box.start, box.stop, origin, strict=True))
        ]
        return labels[np.ix_(*maps)]

    def read(self, read: Callable[[Box], np.ndarray], box: Box) -> np.ndarray:
        """Image values on the model's grid.

        Linear interpolation where the image is enlarged; where it shrinks, a triangle as wide as the step on both
        sides, which removes what the coarser grid cannot show. Beyond the border the last voxel continues.

        Args:
            read: returns the z/y/x voxels of a box of the image.
            box: a box inside the model's grid.

        Returns:
            The image as it is where nothing is rescaled, else float32 of shape `box.shape`.
        """
        if self.is_identity:
            return read(box)
        taps = [
            axis_taps(start, stop, step, size)
            for start, stop, step, size in zip(box.start, box.stop, self.step, self.image_shape, strict=True)
        ]
        source = Box(as_index(int(i.min()) for i, _ in taps), as_index(int(i.max()) + 1 for i, _ in taps))
        block = read(source).astype(np.float32)
        for axis, (indices, weights) in enumerate(taps):
            block = _apply_taps(block, axis, indices - source.start[axis], weights)
        return block


def axis_taps(start: int, stop: int, step: float, size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Which image voxels, with which weights, make the model voxels start..stop-1 of one axis.

    Returns:
        Indices (taps, stop - start) into the image axis and float32 weights of the same shape whose columns sum
        to 1. The number of taps depends on the step alone.
    """
    centres = (np.arange(start, stop, dtype=np.float64) + 0.5) * step - 0.5
    if step == 1.0:
        return np.arange(start, stop, dtype=np.intp)[None], np.ones((1, stop - start), np.float32)
    reach = max(1.0, step)
    taps = int(np.ceil(2 * reach)) + 1
    first = np.ceil(centres - reach).astype(np.intp)
    indices = first[None] + np.arange(taps, dtype=np.intp)[:, None]
    weights = np.maximum(0.0, 1.0 - np.abs(indices - centres[None]) / reach)
    weights /= weights.sum(axis=0, keepdims=True)
    return np.clip(indices, 0, size - 1), weights.astype(np.float32)


def _apply_taps(block: np.ndarray, axis: int, indices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum of shifted copies along one axis.

    Written as a sum over taps in a fixed order rather than a matrix product: a matrix product may add in another
    order for another tile shape and give other roundings.
    """
    if len(indices) == 1:
        return np.asarray(np.take(block, indices[0], axis=axis))
    shape = [1, 1, 1]
    shape[axis] = -1
    total = np.take(block, indices[0], axis=axis) * weights[0].reshape(shape)
    for index, weight in zip(indices[1:], weights[1:], strict=True):
        total += np.take(block, index, axis=axis) * weight.reshape(shape)
    return np.asarray(total, np.float32)


def plan_scaling(image_shape: Index3, image_voxel: VoxelSize, model_voxel: VoxelSize) -> Scaling:
    """The scaling that brings an image to the model's voxel size; axes within the tolerance stay as they are."""
    steps = [wanted / have for have, wanted in zip(image_voxel, model_voxel, strict=True)]
    z, y, x = (1.0 if abs(np.log(s)) <= np.log(1 + TOLERANCE) else float(s) for s in steps)
    return Scaling(image_shape, (z, y, x))
