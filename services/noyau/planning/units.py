"""Write units: boxes of the label array that one task owns, decodes and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from noyau.domain.geometry import Box, Index3, as_index


@dataclass(frozen=True)
class Unit:
    """A box of the label array made of whole chunks (or shards), cut at the image's border."""

    index: int
    box: Box

    @property
    def name(self) -> str:
        """Stable name, e.g. `z0y256x0`."""
        z, y, x = self.box.start
        return f"z{z}y{y}x{x}"


def plan_units(shape: Sequence[int], chunk: Sequence[int], wanted: Sequence[int]) -> tuple[Unit, ...]:
    """Cuts a label array into units of whole chunks.

    Args:
        shape: z/y/x voxels of the label array.
        chunk: z/y/x chunk (or shard) of the label array; no two units touch the same chunk.
        wanted: z/y/x size that a unit should have at most; at least one chunk is taken.

    Returns:
        Units in raster order that partition the array.
    """
    size = unit_shape(shape, chunk, wanted)
    axes = [range(0, n, s) for n, s in zip(shape, size, strict=True)]
    whole = as_index(shape)
    return tuple(
        Unit(i, Box(as_index(start), as_index(a + s for a, s in zip(start, size, strict=True))).clipped(whole))
        for i, start in enumerate(product(*axes))
    )


def unit_shape(shape: Sequence[int], chunk: Sequence[int], wanted: Sequence[int]) -> Index3:
    """The largest multiple of the chunk that is not above what is wanted, at least one chunk."""
    return as_index(
        max(1, min(w, n) // c) * c if n > w else -(-n // c) * c for n, c, w in zip(shape, chunk, wanted, strict=True)
    )
