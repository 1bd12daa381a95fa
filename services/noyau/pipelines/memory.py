"""An array in memory as an image."""

from __future__ import annotations

from typing import Self

import numpy as np

from noyau.domain.axes import Axes
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box, VoxelSize, as_index
from noyau.domain.image import ImageInfo, ImageRef

REAL_KINDS = "buif"


class ArraySource:
    """An `ImageSource` over an array.

    Args:
        pixels: z/y/x, a real type, finite.
        voxel_size: micrometres z/y/x, None where it is unknown.

    Raises:
        InvalidInput: the array is not z/y/x, is empty, or has pixels that are no finite intensities.
    """

    def __init__(self, pixels: np.ndarray, voxel_size: VoxelSize | None = None) -> None:
        if pixels.ndim != 3 or pixels.size == 0:
            raise InvalidInput(f"A crop is an array z/y/x that is not empty; this one has the shape {pixels.shape}.")
        if pixels.dtype.kind not in REAL_KINDS:
            raise InvalidInput(f"Pixels of type {pixels.dtype} are no intensities.", "Send integers or floats.")
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            raise InvalidInput("The crop holds NaN or infinite values.", "Replace them before sending it.")
        self._pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        self.ref = ImageRef("memory")
        shape = as_index(pixels.shape)
        self.info = ImageInfo(
            shape=shape,
            dtype=self._pixels.dtype.name,
            axes=Axes("zyx"),
            stored_shape=shape,
            voxel_size=voxel_size,
            channels=("0",),
            times=1,
            levels=1,
            chunk=shape,
        )

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """See `ImageSource.read`."""
        return self._pixels[box.slices]

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
