"""Voxel sizes and boxes. Everything is in z, y, x order; a 2D image is a volume of one plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, prod

from noyau.domain.errors import InvalidInput

Index3 = tuple[int, int, int]


@dataclass(frozen=True)
class VoxelSize:
    """Physical size of a voxel in micrometres, z/y/x."""

    z: float
    y: float
    x: float

    def __post_init__(self) -> None:
        if not all(isfinite(v) and v > 0 for v in self):
            raise InvalidInput(
                f"Voxel size {self.z},{self.y},{self.x} is not positive.",
                "Give three positive numbers in micrometres in the order z,y,x.",
            )

    def __iter__(self) -> Iterator[float]:
        return iter((self.z, self.y, self.x))

    @property
    def volume(self) -> float:
        """Volume of one voxel in cubic micrometres."""
        return self.z * self.y * self.x

    def scaled(self, factors: Sequence[float]) -> VoxelSize:
        """The voxel size after multiplying each axis by its factor (z/y/x)."""
        return VoxelSize(*(v * f for v, f in zip(self, factors, strict=True)))


@dataclass(frozen=True, order=True)
class Box:
    """A half-open box of voxels, `start` <= index < `stop`, z/y/x."""

    start: Index3
    stop: Index3

    @staticmethod
    def of(shape: Sequence[int]) -> Box:
        """The box that covers a whole array of the given z/y/x shape."""
        return Box((0, 0, 0), as_index(shape))

    @property
    def shape(self) -> Index3:
        return as_index(max(0, b - a) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def voxels(self) -> int:
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return (z, y, x)

    def grown(self, margin: Sequence[int]) -> Box:
        """The box with `margin` voxels more on both sides of each axis (it may leave the image)."""
        return Box(
            as_index(a - m for a, m in zip(self.start, margin, strict=True)),
            as_index(b + m for b, m in zip(self.stop, margin, strict=True)),
        )

    def clipped(self, shape: Sequence[int]) -> Box:
        """The part of the box inside an array of the given shape."""
        return self.intersection(Box.of(shape))

    def intersection(self, other: Box) -> Box:
        start = as_index(max(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = as_index(max(s, min(a, b)) for s, a, b in zip(start, self.stop, other.stop, strict=True))
        return Box(start, stop)

    def shifted(self, by: Sequence[int]) -> Box:
        return Box(
            as_index(a + d for a, d in zip(self.start, by, strict=True)),
            as_index(b + d for b, d in zip(self.stop, by, strict=True)),
        )

    def relative_to(self, origin: Sequence[int]) -> Box:
        """The same box in the coordinates of an array whose first voxel is `origin`."""
        return self.shifted([-o for o in origin])

    def contains(self, other: Box) -> bool:
        return all(a <= c and d <= b for a, b, c, d in zip(self.start, self.stop, other.start, other.stop, strict=True))


def as_index(values: Sequence[int] | Iterator[int]) -> Index3:
    """Three plain ints from any iterable of three integers."""
    z, y, x = (int(v) for v in values)
    return (z, y, x)
