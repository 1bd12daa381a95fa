"""The crops that a suggestion may be: whole images, or a grid of crops over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.image import ImageInfo, ImageRef

MOST_CROPS = 10_000
MOST_VOXELS = 32_000_000


@dataclass(frozen=True)
class Crop:
    """A part of an image at one time point; `number` is the position of the image in the job."""

    number: int
    ref: ImageRef
    time: int
    box: Box

    @property
    def key(self) -> str:
        """Names the crop within the job."""
        return f"{self.number}-{self.time}-{'_'.join(str(n) for n in (*self.box.start, *self.box.shape))}"


def crops_of(number: int, ref: ImageRef, info: ImageInfo, size: Index3 | None) -> Iterator[Crop]:
    """The crops of one image, in raster order of time and space.

    Args:
        number: of the image in the job.
        ref: the image.
        info: what its metadata say.
        size: z/y/x voxels of a crop, cut to the image; None takes the whole image.

    Raises:
        InvalidInput: the size is not positive.
        LimitExceeded: the crop is too large to be looked at, or to be annotated.
    """
    if size is not None and min(size) < 1:
        raise InvalidInput(f"A crop of {size} voxels cannot be cut.", "Give three positive numbers z,y,x.")
    shape = info.shape if size is None else as_index(min(s, n) for s, n in zip(size, info.shape, strict=True))
    if prod(shape) > MOST_VOXELS:
        raise LimitExceeded(
            f"A suggestion of {prod(shape):,} voxels from {ref.uri} is larger than the limit of {MOST_VOXELS:,}.",
            "Rank crops instead, for example with --crop 32,256,256.",
        )
    first, last = ref.time or (0, info.times - 1)
    starts = [_starts(n, s) for n, s in zip(info.shape, shape, strict=True)]
    for time, start in product(range(first, last + 1), product(*starts)):
        yield Crop(number, ref, time, Box(as_index(start), as_index(a + s for a, s in zip(start, shape, strict=True))))


def _starts(length: int, size: int) -> list[int]:
    """Starts of crops side by side; a rest of more than half a crop gets one that overlaps its neighbour."""
    starts = list(range(0, length - size + 1, size))
    if length - (starts[-1] + size) > size // 2:
        starts.append(length - size)
    return starts
