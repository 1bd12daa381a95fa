"""Morphometry against analytic spheres, ellipsoids, boxes, discs and ellipses at anisotropic spacing."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.measurement import measure
from scipy.special import ellipe, ellipeinc, ellipkinc

SPACINGS = [(1.0, 1.0, 1.0), (1.75, 0.8, 0.8), (0.5, 0.2, 0.2), (2.0, 0.5, 0.5)]
OFFSET = (0.3, 0.1, -0.2)


def ellipsoid(radii: tuple[float, ...], spacing: tuple[float, ...], rotation: np.ndarray | None = None) -> np.ndarray:
    reach = [max(radii) if rotation is not None else r for r in radii]
    half = [int(np.ceil(r / s)) + 1 for r, s in zip(reach, spacing, strict=True)]
    axes = [np.arange(-n, n + 1) * s - o for n, s, o in zip(half, spacing, OFFSET, strict=False)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    if rotation is not None:
        points = points @ rotation
    return (((points / np.array(radii)) ** 2).sum(axis=-1) <= 1).astype(np.uint32)


def ellipsoid_surface(radii: tuple[float, ...]) -> float:
    """Legendre's formula; https://en.wikipedia.org/wiki/Ellipsoid#Surface_area."""
    c, b, a = sorted(radii)
    if a == c:
        return 4 * np.pi * a * a
    angle = np.arccos(c / a)
    modulus = a * a * (b * b - c * c) / (b * b * (a * a - c * c))
    sine = np.sin(angle)
    integral = ellipeinc(angle, modulus) * sine**2 + ellipkinc(angle, modulus) * (1 - sine**2)
    return 2 * np.pi * c * c + 2 * np.pi * a * b / sine * integral


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radii", [(5, 5, 5), (8, 8, 8), (4, 6, 8), (5, 5, 10), (4, 8, 8)])
def test_ellipsoids(radii: tuple[float, ...], spacing: tuple[float, ...]) -> None:
    row = measure(ellipsoid(radii, spacing), {}, VoxelSize(*spacing)).row(1)
    volume, surface = 4 / 3 * np.pi * np.prod(radii), ellipsoid_surface(radii)
    long, middle, short = sorted(radii, reverse=True)
    assert row["volume_um3"] == pytest.approx(volume, rel=0.02)
    assert row["equivalent_radius_um"] == pytest.approx(np.prod(radii) ** (1 / 3), rel=0.01)
    assert row["surface_um2"] == pytest.approx(surface, rel=0.025)
    assert row["sphericity"] == pytest.approx((36 * np.pi * volume**2) ** (1 / 3) / surface, abs=0.025)
    assert row["sphericity_nucleusj"] == pytest.approx(36 * np.pi * volume**2 / surface**3, abs=0.06)
    assert row["sphericity_nucleusj"] == pytest.approx(row["sphericity"] ** 3)
    for k, radius in enumerate((long, middle, short), start=1):
        assert row[f"ellipsoid_radius{k}_um"] == pytest.approx(radius, rel=0.05)
    assert row["elongation"] == pytest.approx(long / middle, rel=0.06)
    assert row["flatness"] == pytest.approx(middle / short, rel=0.06)
    assert row["solidity"] > 0.97
    # The tips of a body fall between planes: the length is uncertain by a good part of the coarsest spacing.
    assert row["feret_max_um"] == pytest.approx(2 * long, abs=0.3 + 0.6 * max(spacing))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_boxes(spacing: tuple[float, ...]) -> None:
    shape = tuple(round(side / s) for side, s in zip((8, 10, 12), spacing, strict=True))
    row = measure(np.ones(shape, np.uint8), {}, VoxelSize(*spacing)).row(1)
    a, b, c = (n * s for n, s in zip(shape, spacing, strict=True))
    assert row["volume_um3"] == pytest.approx(a * b * c)
    # The smoothing rounds edges and corners off: never too large, and up to a tenth too small.
    assert 0.89 < row["surface_um2"] / (2 * (a * b + b * c + a * c)) <= 1.005
    assert 0.85 < row["feret_max_um"] / np.sqrt(a * a + b * b + c * c) <= 1.0
    assert row["solidity"] > 0.99
    lattice = [s * np.sqrt((n * n - 1) / 12) for n, s in zip(shape, spacing, strict=True)]
    assert row["elongation"] == pytest.approx(sorted(lattice)[2] / sorted(lattice)[1])
    assert row["flatness"] == pytest.approx(sorted(lattice)[1] / sorted(lattice)[0])


def test_direction_of_a_tilted_ellipsoid() -> None:
    elevation, azimuth = np.radians(35), np.radians(120)
    axis = np.array([np.sin(elevation), np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth)])
    side = np.cross(axis, [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    rotation = np.stack([axis, side, np.cross(axis, side)], axis=1)
    row = measure(ellipsoid((10, 4, 4), (1.0, 0.5, 0.5), rotation), {}, VoxelSize(1.0, 0.5, 0.5)).row(1)
    found = np.array([row[f"major_axis_{a}"] for a in "zyx"])
    assert abs(found @ axis) > 0.999
    # The axis has no sign: (120, 35) and (-60, -35) degrees are the same, and x is positive in the table.
    assert row["azimuth_deg"] == pytest.approx(-60, abs=2)
    assert row["elevation_deg"] == pytest.approx(-35, abs=2)


def test_a_dent_lowers_solidity() -> None:
    ball = ellipsoid((8, 8, 8), (1.0, 1.0, 1.0))
    dented = ball.copy()
    dented[:, 9:, 6:13] = 0
    whole, hollow = (measure(m, {}, VoxelSize(1, 1, 1)).row(1)["solidity"] for m in (ball, dented))
    assert whole > 0.99
    assert hollow < 0.85


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.65, 0.65), (1.0, 0.4)])
@pytest.mark.parametrize("radii", [(5.0, 5.0), (4.0, 9.0), (10.0, 6.0)])
def test_ellipses(radii: tuple[float, float], spacing: tuple[float, float]) -> None:
    table = measure(ellipsoid(radii, spacing), {}, VoxelSize(1.0, *spacing))
    row = table.row(1)
    assert not [name for name in table.columns if "volume" in name or "surface" in name]
    short, long = sorted(radii)
    area, perimeter = np.pi * short * long, 4 * long * ellipe(1 - (short / long) ** 2)
    assert row["area_um2"] == pytest.approx(area, rel=0.02)
    assert row["perimeter_um"] == pytest.approx(perimeter, rel=0.03)
    assert row["circularity"] == pytest.approx(4 * np.pi * area / perimeter**2, abs=0.04)
    assert row["ellipse_radius1_um"] == pytest.approx(long, rel=0.03)
    assert row["ellipse_radius2_um"] == pytest.approx(short, rel=0.03)
    assert row["feret_max_um"] == pytest.approx(2 * long, rel=0.06)
    assert row["solidity"] > 0.98
    if short < long:
        expected = 90 if radii[0] > radii[1] else 0
        assert abs(row["orientation_deg"]) == pytest.approx(expected, abs=1.5)


def test_position_is_in_voxels_and_micrometres() -> None:
    labels = np.zeros((6, 8, 10), np.uint16)
    labels[1:4, 2:4, 5:9] = 7
    row = measure(labels, {}, VoxelSize(2.0, 0.5, 0.25)).row(7)
    assert [row[f"centroid_{a}_voxel"] for a in "zyx"] == [2.0, 2.5, 6.5]
    assert [row[f"centroid_{a}_um"] for a in "zyx"] == [4.0, 1.25, 1.625]
    assert [row[f"bbox_{a}_{e}_voxel"] for a in "zyx" for e in ("start", "stop")] == [1, 4, 2, 4, 5, 9]
    assert [row[f"bbox_{a}_{e}_um"] for a in "zyx" for e in ("start", "stop")] == [1, 7, 0.75, 1.75, 1.125, 2.125]


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 5), (2, 1, 1), (3, 1, 4), (1, 2, 2)])
def test_tiny_and_flat_objects_have_finite_shapes(shape: tuple[int, int, int]) -> None:
    labels = np.zeros((7, 8, 9), np.uint32)
    labels[2 : 2 + shape[0], 3 : 3 + shape[1], 1 : 1 + shape[2]] = 3
    table = measure(labels, {}, VoxelSize(1.75, 0.8, 0.8))
    row = table.row(3)
    assert row["voxels"] == np.prod(shape)
    lonely = ("nearest_distance_um", "nearest5_distance_um", "local_density_per_mm3")
    assert all(np.isfinite(value) for name, value in row.items() if name not in lonely)
    assert 0 < row["sphericity"] <= 1 + 1e-9
    assert 0 < row["solidity"] <= 1
    flat = measure(labels.max(axis=0), {}, VoxelSize(1.0, 0.8, 0.8)).row(3)
    assert all(np.isfinite(value) for name, value in flat.items() if not name.startswith(("nearest", "local")))


def test_large_objects_are_averaged_before_the_surface_is_drawn() -> None:
    radius = 70.0
    row = measure(ellipsoid((radius,) * 3, (1.3, 1.0, 1.0)), {}, VoxelSize(1.3, 1.0, 1.0)).row(1)
    assert row["voxels"] > 1_000_000
    assert row["surface_um2"] == pytest.approx(4 * np.pi * radius**2, rel=0.01)
    assert row["feret_max_um"] == pytest.approx(2 * radius, rel=0.02)
