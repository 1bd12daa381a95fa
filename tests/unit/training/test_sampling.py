"""Patches: the identity cuts exactly, and centres follow the same transform as the labels."""

import numpy as np
import pytest
import torch
from noyau.domain.intensity import percentiles, rescale
from noyau.domain.model import Normalisation
from noyau.training.config import AugmentConfig
from noyau.training.dataset import Pair
from noyau.training.sampling import cut, draw_centre, draw_matrix
from noyau.training.targets import find_objects


def balls(shape, centres, radius):
    """Labels and an image of bright balls."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1)
    labels = np.zeros(shape, np.uint16)
    for label, centre in enumerate(centres, start=1):
        labels[((grid - centre) ** 2).sum(-1) <= radius**2] = label
    image = (100 + 300 * (labels > 0) + np.random.default_rng(0).normal(0, 5, shape)).astype(np.uint16)
    params = Normalisation()
    return Pair("set/balls", image, labels, *percentiles(image, params), find_objects(labels))


@pytest.fixture(params=[3, 2])
def pair(request):
    if request.param == 3:
        return balls((30, 60, 60), [(10, 15, 15), (20, 40, 30), (12, 45, 50)], 6)
    return balls((80, 90), [(20, 20), (60, 50), (30, 70)], 9)


def test_the_identity_cuts_a_plain_crop(pair):
    ndim = pair.image.ndim
    patch = (8, 16, 16)[-ndim:]
    middle = np.array([15.5, 30.5, 31.5][-ndim:])
    raw = cut(pair, patch, np.eye(ndim), middle)
    box = tuple(slice(int(m - (n - 1) / 2), int(m - (n - 1) / 2) + n) for m, n in zip(middle, patch, strict=True))
    assert np.allclose(raw.image.numpy(), rescale(pair.image[box], pair.low, pair.high), atol=1e-3)
    assert np.array_equal(raw.labels.numpy(), pair.labels[box])
    assert raw.known.all()


@pytest.mark.parametrize("seed", range(6))
def test_centres_follow_the_labels_through_any_transform(pair, seed):
    ndim = pair.image.ndim
    rng = np.random.default_rng(seed)
    patch = (32, 64, 64)[-ndim:]
    matrix = draw_matrix(rng, ndim, AugmentConfig(zoom_wide=(0.7, 1.5)))
    raw = cut(pair, patch, matrix, draw_centre(rng, pair, patch, matrix))
    checked = 0
    for label, centre, radius in zip(pair.objects.ids, raw.centres, raw.radii, strict=True):
        voxels = np.argwhere(raw.labels.numpy() == label)
        if len(voxels) == 0 or (voxels.min(0) == 0).any() or (voxels.max(0) == np.array(patch) - 1).any():
            continue
        checked += 1
        assert np.abs(voxels.mean(0) - centre).max() < 0.5
        ball = np.pi if ndim == 2 else 4 * np.pi / 3
        assert radius == pytest.approx((len(voxels) / ball) ** (1 / ndim), rel=0.15)
    assert checked or not len(np.unique(raw.labels)) > 3


def test_outside_the_image_nothing_is_known_and_the_image_is_its_reflection(pair):
    ndim = pair.image.ndim
    patch = (16, 40, 40)[-ndim:]
    raw = cut(pair, patch, np.eye(ndim), np.full(ndim, -0.5))
    half = [n // 2 for n in patch]
    outside = raw.known.clone()
    outside[tuple(slice(h, None) for h in half)] = False
    assert not outside.any()
    assert not raw.labels[~raw.known].any()
    assert torch.isfinite(raw.image).all()
    # Reflection about the outer edge of the first voxel: voxel -1 equals voxel 0.
    edge = [slice(None)] * ndim
    edge[-1] = half[-1] - 1
    mirror = list(edge)
    mirror[-1] = half[-1]
    assert torch.allclose(raw.image[tuple(edge)], raw.image[tuple(mirror)], atol=1e-2)


def test_zooms_stay_in_their_range():
    config = AugmentConfig(zoom_wide_share=1.0)
    low, high = config.zoom_wide
    for seed in range(200):
        matrix = draw_matrix(np.random.default_rng(seed), 3, config)
        zoom = abs(np.linalg.det(matrix)) ** (-1 / 3)
        assert low * np.exp(-config.zoom_axis) <= zoom <= high * np.exp(config.zoom_axis)


def test_z_never_mixes_with_y_and_x():
    matrix = draw_matrix(np.random.default_rng(4), 3, AugmentConfig())
    assert not matrix[0, 1:].any() and not matrix[1:, 0].any()


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_not_known_of_the_image_is_not_known_of_the_patch(ndim):
    shape = (12, 30, 32)[-ndim:]
    labels = np.zeros(shape, np.uint16)
    labels[..., 10:20, 10:20] = 3
    known = np.ones(shape, bool)
    known[..., 16:] = False
    image = np.random.default_rng(0).random(shape)
    pair = Pair("partial", image, labels, 0.0, 1.0, find_objects(labels), known)
    middle = (np.array(shape) - 1) / 2
    raw = cut(pair, shape, np.eye(ndim), middle)
    assert raw.known.numpy().tolist() == known.tolist() and raw.labels.numpy().tolist() == labels.tolist()
    flipped = cut(pair, shape, np.diag([1.0] * (ndim - 1) + [-1.0]), middle)
    assert flipped.known.numpy().tolist() == known[..., ::-1].tolist()
