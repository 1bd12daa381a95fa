"""A crop in memory gives what the job gives for the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.domain.geometry import VoxelSize
from noyau.pipelines import preview, segment
from noyau.pipelines.context import Limits


@pytest.fixture
def run(workshop):
    def call(image, **changes):
        options = {"registry": workshop.registry, "backends": workshop.backends, "backend": "torch"}
        return preview.run(image, **{**options, **changes})

    return call


def test_a_crop_gives_the_labels_of_the_job(workshop, world, run):
    uri = workshop.image(world.image)
    segment.run(workshop.spec(uri), workshop.context())
    found = run(world.image, probability=True)
    np.testing.assert_array_equal(found.labels, workshop.labels(uri))
    assert found.model == "nuclei-3d@1"
    assert found.labels.dtype == np.uint32
    assert found.probability.dtype == np.float32
    assert found.probability.shape == world.image.shape
    assert found.probability[found.labels > 0].min() >= 0.5
    assert 0 <= found.probability.min() <= found.probability.max() <= 1


def test_only_what_is_wanted_is_returned(world, run):
    found = run(world.image, labels=False, probability=True)
    assert found.labels is None
    assert run(world.image).probability is None


def test_tiles_change_nothing(world, run):
    whole = run(world.image).labels
    tiled = run(world.image, limits=Limits(network_bytes=180 * 60_000)).labels
    assert tiled.max() == whole.max()
    assert np.mean(tiled != whole) <= 1e-5


def test_a_plane_takes_the_2d_model(flat_world, run):
    found = run(flat_world.image)
    assert found.model == "nuclei-2d@1"
    assert found.labels.max() > 0.8 * len(flat_world.centres)


def test_a_crop_of_another_scale_keeps_its_shape(world, run):
    fine = np.kron(world.image, np.ones((1, 2, 2), np.uint16))
    found = run(fine, voxel_size=VoxelSize(1.0, 0.5, 0.5), probability=True)
    assert found.labels.shape == found.probability.shape == fine.shape
    assert abs(int(found.labels.max()) - len(world.centres)) < 0.1 * len(world.centres)


def test_a_constant_crop_has_no_nuclei(run):
    assert run(np.full((5, 20, 20), 3, np.uint8)).labels.max() == 0


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (np.zeros((4, 4)), InvalidInput),
        (np.zeros((0, 4, 4)), InvalidInput),
        (np.zeros((2, 4, 4), complex), InvalidInput),
        (np.full((2, 4, 4), np.nan), InvalidInput),
    ],
)
def test_crops_that_are_no_images_are_refused(run, image, kind):
    with pytest.raises(kind):
        run(image)


def test_a_crop_over_the_limit_is_refused(world, run):
    with pytest.raises(LimitExceeded):
        run(world.image, limits=Limits(max_voxels=1000))
