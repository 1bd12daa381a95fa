"""Places: within reach of the volume, apart, and in contact as often as wanted."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic.arrangement import place, settle
from noyau.training.synthetic.shapes import WAVES, Nucleus

EXTENT = np.array([60.0, 90.0, 90.0])
VOXEL = VoxelSize(1.0, 0.5, 0.5)
NAMES = ("lattice", "cluster", "scatter", "monolayer", "ball")


def balls(centres: np.ndarray, radius: float) -> list[Nucleus]:
    return [Nucleus(c, np.full(3, radius), np.eye(3), np.zeros((WAVES, 5))) for c in centres]


def gaps(nuclei: list[Nucleus], radius: float) -> np.ndarray:
    """Distance from each ball's surface to the nearest other one, micrometres; negative where they overlap."""
    centres = np.array([n.centre for n in nuclei])
    distances = np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1) - 2 * radius


@pytest.mark.parametrize("name", NAMES)
def test_most_nuclei_are_inside(name: str) -> None:
    centres, normals = place(name, np.random.default_rng(3), 40, EXTENT, 10.0)
    assert 20 <= len(centres) <= 40
    assert ((centres > -5) & (centres < EXTENT + 5)).all(axis=1).mean() > 0.6
    assert normals is None or normals.shape == centres.shape


@pytest.mark.parametrize("name", [n for n in NAMES if n != "ball"])
def test_flat_scenes_stay_in_their_plane(name: str) -> None:
    centres, _ = place(name, np.random.default_rng(3), 40, EXTENT * [0, 1, 1], 10.0)
    assert not centres[:, 0].any()
    settled = settle(balls(centres, 5.0), np.random.default_rng(0), 0.5, True, VOXEL)
    assert not any(n.centre[0] for n in settled)


def test_lattice_spreads_over_the_whole_volume() -> None:
    centres, _ = place("lattice", np.random.default_rng(3), 200, EXTENT, 8.0)
    assert (np.ptp(centres, axis=0) > 0.85 * EXTENT).all()


def test_monolayer_is_thin() -> None:
    centres, normals = place("monolayer", np.random.default_rng(1), 60, EXTENT, 8.0)
    assert centres[:, 0].std() < 0.2 * EXTENT[0]
    assert normals is not None and (normals[:, 0] == 1).all()


def test_settled_nuclei_hardly_overlap() -> None:
    centres, _ = place("cluster", np.random.default_rng(5), 60, EXTENT, 10.0)
    before, after = balls(centres, 5.0), settle(balls(centres, 5.0), np.random.default_rng(0), 0.4, False, VOXEL)
    assert gaps(before, 5.0).min() < -3
    assert gaps(after, 5.0).min() > -2
    assert (gaps(after, 5.0) < -1.5).mean() < 0.05


@pytest.mark.parametrize("wanted", [0.0, 0.3, 0.6])
def test_as_many_touch_as_wanted(wanted: float) -> None:
    centres, _ = place("lattice", np.random.default_rng(2), 120, EXTENT, 9.0)
    settled = settle(balls(centres, 4.5), np.random.default_rng(0), wanted, False, VOXEL)
    assert (gaps(settled, 4.5) < 0).mean() == pytest.approx(wanted, abs=0.1)


def test_nuclei_at_one_place_part() -> None:
    settled = settle(balls(np.full((4, 3), 30.0), 5.0), np.random.default_rng(0), 0.0, False, VOXEL)
    assert gaps(settled, 5.0).min() > 0


def test_one_or_no_nucleus_stays() -> None:
    (one,) = settle(balls(np.array([[1.0, 2, 3]]), 5.0), np.random.default_rng(0), 0.5, False, VOXEL)
    assert one.centre.tolist() == [1, 2, 3]
    assert settle([], np.random.default_rng(0), 0.5, False, VOXEL) == []
