"""The tile grid: which part of the prediction each forward pass gives, and which input it needs for it.

The network sees the image with a *frame* around it, in which the input is the image's own reflection. The framed
image is the *domain*. All tiles are windows of one shape inside the domain. A window that would stick out of the
domain is moved inwards, so that no work is spent outside, and what a window can give exactly is everything that is
at least a halo away from those of its faces that lie inside the domain. Faces on the border of the domain need no
halo: there the network's own zero padding is part of the definition of the result, the same for every grid.

Hence a prediction depends on the voxel and the image alone, not on the grid, up to the rounding of floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box, Index3, as_index

FRAME_STRIDES = 1
"""Width of the reflected frame in strides. On real embryos 0, 1, 2 and 4 strides score the same; each costs work."""


@dataclass(frozen=True)
class Tile:
    """One forward pass.

    Attributes:
        index: position in `Grid.tiles`.
        core: voxels of the image that this tile predicts. The cores of a grid partition the image.
        padded: the window that the network reads; it may leave the image, where the input is the reflection.
    """

    index: int
    core: Box
    padded: Box

    @property
    def name(self) -> str:
        """Stable name of the tile within its grid, e.g. `z0y24x152`."""
        z, y, x = self.core.start
        return f"z{z}y{y}x{x}"


@dataclass(frozen=True)
class Grid:
    """Windows of one shape that cover an image.

    Attributes:
        shape: z/y/x voxels of the image (on the model's grid).
        window: z/y/x voxels of every tile's input, multiples of the stride.
        halo, stride, frame: z/y/x, see the module.
        cuts: for each axis the sorted boundaries of the cores, from 0 to the length of the axis.
        starts: for each axis the first voxel of each window.
    """

    shape: Index3
    window: Index3
    halo: Index3
    stride: Index3
    frame: Index3
    cuts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles in raster order."""
        axes = [
            [(cuts[i], cuts[i + 1], start, start + w) for i, start in enumerate(starts)]
            for cuts, starts, w in zip(self.cuts, self.starts, self.window, strict=True)
        ]
        return tuple(
            Tile(
                i,
                Box((z[0], y[0], x[0]), (z[1], y[1], x[1])),
                Box((z[2], y[2], x[2]), (z[3], y[3], x[3])),
            )
            for i, (z, y, x) in enumerate(product(*axes))
        )

    @property
    def counts(self) -> Index3:
        """Tiles along each axis."""
        return as_index(len(s) for s in self.starts)

    def touching(self, box: Box) -> tuple[int, ...]:
        """Indices of the tiles whose cores intersect a box (which may leave the image)."""
        box = box.clipped(self.shape)
        if not box.voxels:
            return ()
        ranges = [
            [i for i in range(len(cuts) - 1) if cuts[i] < stop and start < cuts[i + 1]]
            for cuts, start, stop in zip(self.cuts, box.start, box.stop, strict=True)
        ]
        _, ny, nx = self.counts
        return tuple((z * ny + y) * nx + x for z, y, x in product(*ranges))

    @property
    def work(self) -> float:
        """Voxels that the network computes per voxel of the image."""
        window = self.window[0] * self.window[1] * self.window[2]
        return window * len(self.tiles) / Box.of(self.shape).voxels


def plan_grid(
    shape: Sequence[int],
    tile: Sequence[int],
    halo: Sequence[int],
    stride: Sequence[int],
    frame: Sequence[int] | None = None,
) -> Grid:
    """Lays windows of one shape over an image.

    Args:
        shape: z/y/x voxels of the image, at least 1 each.
        tile: z/y/x voxels of a tile's core; rounded up to multiples of the stride.
        halo: z/y/x voxels that a prediction depends on; rounded up to multiples of the stride.
        stride: total stride of the network, z/y/x. Every window starts at a multiple of it.
        frame: width of the reflected frame, multiples of the stride; None takes one stride (none on an axis
            without halo, such as z of a 2D model).

    Raises:
        InvalidInput: an axis of the image is empty or a length is not positive.
    """
    if min(shape) < 1:
        raise InvalidInput(f"The image is empty (its z,y,x shape is {_text(shape)}).")
    if min(tile) < 1 or min(stride) < 1 or min(halo) < 0:
        raise InvalidInput(f"Tile {_text(tile)} is not positive.", "Give three positive numbers of voxels as z,y,x.")
    stride = as_index(stride)
    halo = as_index(round_up(h, s) for h, s in zip(halo, stride, strict=True))
    if frame is None:
        frame = [FRAME_STRIDES * s if h else 0 for h, s in zip(halo, stride, strict=True)]
    axes = [_axis(n, round_up(t, s), h, s, f) for n, t, h, s, f in zip(shape, tile, halo, stride, frame, strict=True)]
    return Grid(
        shape=as_index(shape),
        window=as_index(a[0] for a in axes),
        halo=halo,
        stride=stride,
        frame=as_index(frame),
        cuts=(axes[0][1], axes[1][1], axes[2][1]),
        starts=(axes[0][2], axes[1][2], axes[2][2]),
    )


def _axis(size: int, core: int, halo: int, stride: int, frame: int) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Window length, core boundaries and window starts along one axis."""
    first, length = -frame, frame + round_up(size + frame, stride)
    window = min(length, core + 2 * halo)
    if window == length:
        return length, (0, size), (first,)
    count = -(-(length - 2 * halo) // core)
    starts = [first + i * core for i in range(count - 1)] + [first + length - window]
    # A window gives everything up to a halo before its inner face; the next one takes over there.
    cuts = [0] + [start + window - halo for start in starts[:-1]] + [size]
    kept = [i for i in range(count) if max(cuts[i], 0) < min(cuts[i + 1], size)]
    bounds = (*(max(0, cuts[i]) for i in kept), size)
    return window, bounds, tuple(starts[i] for i in kept)


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple that is not below the value."""
    return -(-int(value) // multiple) * multiple


def _text(values: Sequence[int]) -> str:
    return ",".join(str(v) for v in values)
