"""Intensity augmentation: finite, seeded, and only as wide as it should be."""

import numpy as np
import pytest
import torch
from noyau.domain.model import Normalisation
from noyau.training.augmentation import augment, compress, empty_patch
from noyau.training.config import AugmentConfig

PARAMS = Normalisation(low=25.0, high=99.8)
OFF = AugmentConfig(
    gain=0.0, offset=0.0, gamma=0.0, blur=0.0, bias_field=0.0, attenuation=0.0, noise=0.0, thin_planes=0.0
)


def patch(shape=(8, 24, 24)):
    x = torch.zeros(shape)
    x[..., 8:16, 8:16] = 1.0
    return x


@pytest.mark.parametrize("shape", [(8, 24, 24), (7, 24, 24), (24, 24)])
def test_every_draw_is_finite_and_in_range(shape):
    everything = AugmentConfig(gamma=1.0, blur=1.0, bias_field=1.0, attenuation=1.0, noise=1.0, thin_planes=1.0)
    top = np.arcsinh(PARAMS.gain * PARAMS.clip[1]) / np.arcsinh(PARAMS.gain)
    for seed in range(30):
        x = augment(patch(shape) * 50 - 1, np.random.default_rng(seed), everything, PARAMS)
        assert x.shape == shape and x.dtype == torch.float32
        assert torch.isfinite(x).all() and x.max() <= top + 1e-4


def test_the_same_seed_gives_the_same_patch_and_another_seed_another():
    draws = [augment(patch(), np.random.default_rng(s), AugmentConfig(), PARAMS) for s in (5, 5, 6)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_global_random_state_is_neither_used_nor_changed():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = augment(patch(), np.random.default_rng(5), AugmentConfig(), PARAMS)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, augment(patch(), np.random.default_rng(5), AugmentConfig(), PARAMS))


def test_everything_off_only_compresses():
    x = augment(patch(), np.random.default_rng(0), OFF, PARAMS)
    assert torch.equal(x, compress(patch(), PARAMS))


def test_nuclei_stay_brighter_than_the_background():
    kept = 0
    for seed in range(40):
        x = augment(patch(), np.random.default_rng(seed), AugmentConfig(), PARAMS)
        kept += bool(x[..., 10:14, 10:14].mean() > x[..., :6, :6].mean() + 0.1)
    assert kept >= 38


def test_dropped_planes_are_the_mean_of_their_neighbours():
    x = torch.arange(9.0)[:, None, None].expand(9, 4, 4) ** 2 / 100
    only_planes = AugmentConfig(**{**OFF.__dict__, "thin_planes": 1.0})
    y = augment(x.contiguous(), np.random.default_rng(0), only_planes, PARAMS)
    expected = compress((x[2] + x[4]) / 2, PARAMS)
    assert torch.allclose(y[3], expected, atol=1e-6)
    assert torch.equal(y[4], compress(x[4], PARAMS))


@pytest.mark.parametrize("shape", [(8, 32, 32), (64, 64)])
def test_an_empty_patch_is_noise_between_its_own_percentiles(shape):
    for seed in range(5):
        x = empty_patch(shape, np.random.default_rng(seed), PARAMS)
        assert torch.isfinite(x).all() and x.std() > 0.05
        assert torch.quantile(x, 0.25).abs() < 0.15
