"""One nucleus as a shape: an ellipsoid whose radius varies smoothly with the direction."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from noyau.domain.geometry import Box, Index3, VoxelSize, as_index
from noyau.training.synthetic.draws import random_rotation, uniform
from noyau.training.synthetic.recipe import SceneRanges

WAVES = 6
# The bend is about the mean of c*c over the outline, so that the centre of mass stays.
BEND_CENTRE = 0.3


@dataclass(frozen=True, eq=False)
class Nucleus:
    """A shape in physical space.

    Attributes:
        centre: micrometres z/y/x.
        radii: semi-axes, micrometres, in the order of the rows of `rotation`.
        rotation: 3x3, rows are the directions of the semi-axes in z/y/x.
        waves: (n, 5) wave vector z/y/x, phase and amplitude of the radius' variation.
        bend: how far the middle of the long axis is shifted along the short one, in units of the short semi-axis.
        kind: `interphase`, `plate` (metaphase or anaphase chromosomes) or `pyknotic`.
    """

    centre: np.ndarray
    radii: np.ndarray
    rotation: np.ndarray
    waves: np.ndarray
    bend: float = 0.0
    kind: str = "interphase"

    @property
    def to_unit(self) -> np.ndarray:
        """3x3 matrix that maps an offset from the centre (micrometres) into the unit ball."""
        return np.asarray(self.rotation / self.radii[:, None])

    @property
    def reach(self) -> np.ndarray:
        """Half extent of the bounding box, micrometres z/y/x."""
        swell = 1 + np.abs(self.waves[:, 4]).sum()
        half = np.sqrt(((self.rotation * self.radii[:, None]) ** 2).sum(axis=0))
        return np.asarray((swell + BEND_CENTRE * self.bend) * half)

    def moved(self, centre: np.ndarray) -> Nucleus:
        return replace(self, centre=centre)

    def volume(self, flat: bool) -> float:
        """Cubic micrometres of the undeformed ellipsoid, or square micrometres of its y/x section when flat."""
        if flat:
            return float(np.pi * self.radii[1] * self.radii[2])
        return float(4 / 3 * np.pi * self.radii.prod())

    def growth(self, margin: tuple[float, float, float]) -> np.ndarray:
        """Factors z/y/x by which the nucleus becomes `margin` (micrometres z/y/x) larger on every side."""
        half = np.sqrt(((self.rotation * self.radii[:, None]) ** 2).sum(axis=0))
        return np.asarray(1 + np.array(margin) / half)

    def box(self, shape: Index3, voxel: VoxelSize, growth: np.ndarray | float = 1.0) -> Box:
        """Voxels that the nucleus, grown by factors z/y/x, may cover, clipped to the volume."""
        size, reach = np.array(tuple(voxel)), self.reach * growth
        low = np.floor((self.centre - reach) / size)
        high = np.ceil((self.centre + reach) / size) + 1
        return Box(as_index(low), as_index(high)).clipped(shape)

    def unit_coordinates(self, offsets: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Offsets from the centre (micrometres, broadcastable z/y/x) as coordinates of the undeformed unit ball."""
        m = self.to_unit.astype(np.float32)
        z, y, x = offsets
        a, b, c = (m[i, 0] * z + m[i, 1] * y + m[i, 2] * x for i in range(3))
        # Kidneys and beans: straight in its own frame, bent in space.
        return (a, b + np.float32(self.bend) * (c * c - np.float32(BEND_CENTRE)), c) if self.bend else (a, b, c)

    def swelling(self, directions: tuple[np.ndarray, ...]) -> np.ndarray:
        """Factor on the radius for unit vectors in the nucleus' own frame.

        A few plane waves seen on the sphere: as smooth as spherical harmonics of low degree, and cheaper.
        """
        total = np.ones_like(directions[0])
        for a, b, c, phase, amplitude in self.waves.astype(np.float32):
            total += amplitude * np.cos(a * directions[0] + b * directions[1] + c * directions[2] + phase)
        return np.asarray(np.maximum(total, np.float32(0.4)))


def draw_nucleus(
    rng: np.random.Generator, ranges: SceneRanges, diameter: float, deformation: float, flat: bool, kind: str
) -> Nucleus:
    """Draws the shape of one nucleus, centred at the origin.

    Args:
        rng: source of randomness.
        ranges: roundness is used.
        diameter: of the sphere (disc) of equal volume (area), micrometres.
        deformation: amplitude of the radius' variation.
        flat: a 2D scene: turn in the plane only.
        kind: `interphase`, `plate` or `pyknotic`.
    """
    shortest = uniform(rng, ranges.roundness)
    ratios = np.array([uniform(rng, (shortest, 1.0)), shortest, 1.0])
    if kind == "plate":
        ratios = np.array([uniform(rng, (0.8, 1.0)), uniform(rng, (0.25, 0.45)), 1.0])
        diameter, deformation = diameter * uniform(rng, (0.65, 0.85)), max(deformation, 0.08)
    if kind == "pyknotic":
        diameter *= uniform(rng, (0.4, 0.65))
    if flat:
        radii = diameter / 2 * ratios / np.sqrt(ratios[1] * ratios[2])
        angle = rng.uniform(0, 2 * np.pi)
        s, c = np.sin(angle), np.cos(angle)
        rotation = np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])
    else:
        radii = diameter / 2 * ratios / np.cbrt(ratios.prod())
        rotation = random_rotation(rng)
    return Nucleus(np.zeros(3), radii, rotation, _draw_waves(rng, deformation), _draw_bend(rng, deformation), kind)


def _draw_bend(rng: np.random.Generator, deformation: float) -> float:
    return float(np.clip(abs(rng.normal()) * 2.5 * deformation, 0, 0.5))


def _draw_waves(rng: np.random.Generator, deformation: float) -> np.ndarray:
    vectors = rng.normal(size=(WAVES, 3))
    lengths = rng.uniform(1.5, 5.0, size=(WAVES, 1))
    vectors *= lengths / np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    phases = rng.uniform(0, 2 * np.pi, size=(WAVES, 1))
    # Slow waves may be large, fast ones small, or the outline becomes a star.
    amplitudes = deformation * rng.normal(size=(WAVES, 1)) * 2.0 / lengths
    return np.hstack([vectors, phases, amplitudes])
