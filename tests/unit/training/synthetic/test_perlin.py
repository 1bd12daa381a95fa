"""Gradient noise: zero at the lattice, one scale, no seam where it repeats itself."""

from __future__ import annotations

import numpy as np
from noyau.training.synthetic.perlin import CELLS, SAMPLES, perlin_cube

SIDE = CELLS * SAMPLES


def cube(seed: int = 0) -> np.ndarray:
    return perlin_cube(np.random.default_rng(seed))


def test_it_is_zero_at_the_lattice_and_of_unit_spread() -> None:
    found = cube()
    assert found.shape == (SIDE,) * 3 and found.dtype == np.float32
    np.testing.assert_allclose(found[::SAMPLES, ::SAMPLES, ::SAMPLES], 0.0, atol=1e-5)
    assert abs(float(found.mean())) < 0.05 and 0.99 < found.std() < 1.01


def test_its_features_have_the_size_of_a_cell() -> None:
    power = np.abs(np.fft.fftn(cube())) ** 2
    along = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE))
    frequency = np.sqrt(sum(np.meshgrid(along**2, along**2, along**2, indexing="ij"))) / CELLS  # per cell
    # White noise would have 4 % below half a wave per cell and most beyond one and a half.
    assert power[frequency < 0.3].sum() < 0.05 * power.sum()
    assert power[frequency > 1.5].sum() < 0.1 * power.sum()


def test_there_is_no_seam_where_it_repeats_itself() -> None:
    found = cube()
    for axis in range(3):
        steps = np.abs(np.diff(found, axis=axis, append=np.take(found, [0], axis)))
        seam = np.take(steps, -1, axis)
        assert seam.mean() < 1.3 * steps.mean()


def test_a_seed_decides_it() -> None:
    np.testing.assert_array_equal(cube(3), cube(3))
    assert not np.array_equal(cube(3), cube(4))
