"""Targets: centres lie inside their objects, offsets point at them, and the unknown counts for nothing."""

import numpy as np
import pytest
import torch
from noyau.training.targets import find_objects, make_targets


def crescent():
    """A C-shaped object whose centroid is outside of it, and a square."""
    labels = np.zeros((20, 30), np.uint16)
    labels[2:18, 2:14] = 4
    labels[5:15, 6:14] = 0
    labels[5:10, 20:25] = 9
    return labels


def test_centres_lie_inside_their_objects():
    labels = crescent()
    objects = find_objects(labels)
    assert objects.ids.tolist() == [4, 9]
    for label, centre in zip(objects.ids, objects.centres, strict=True):
        assert labels[tuple(np.rint(centre).astype(int))] == label
    assert np.allclose(objects.centres[1], [7, 22])
    assert objects.radii[1] == pytest.approx((25 / np.pi) ** 0.5)


def test_radius_of_a_3d_object_is_that_of_the_equal_ball():
    labels = np.zeros((6, 6, 6), np.int32)
    labels[1:4, 1:4, 1:4] = 1
    assert find_objects(labels).radii[0] == pytest.approx((27 * 3 / (4 * np.pi)) ** (1 / 3))


def test_an_empty_image_has_no_objects():
    objects = find_objects(np.zeros((3, 4, 5), np.uint8))
    assert len(objects.ids) == 0 and objects.centres.shape == (0, 3)


def targets_of(labels, known=None):
    objects = find_objects(labels)
    known = torch.ones(labels.shape, dtype=torch.bool) if known is None else known
    tensor = torch.from_numpy(labels.astype(np.int64))
    return objects, make_targets(tensor, objects.ids, objects.centres, objects.radii, known)


def test_every_voxel_of_an_object_points_at_its_centre():
    labels = crescent()
    objects, targets = targets_of(labels)
    positions = torch.stack(torch.meshgrid(torch.arange(20), torch.arange(30), indexing="ij"))
    for label, centre in zip(objects.ids, objects.centres, strict=True):
        inside = torch.from_numpy(labels == label)
        landing = (positions + targets.offsets)[:, inside]
        assert torch.allclose(landing, torch.tensor(centre, dtype=torch.float32)[:, None].expand_as(landing), atol=1e-4)
    assert not targets.offsets[:, torch.from_numpy(labels == 0)].any()


def test_soft_foreground_keeps_the_outline_at_one_half():
    labels = crescent()
    _, targets = targets_of(labels)
    assert torch.equal(targets.foreground[0] > 0.5, torch.from_numpy(labels > 0))
    assert targets.foreground.min() >= 0 and targets.foreground.max() <= 1
    assert ((targets.foreground > 0.01) & (targets.foreground < 0.99)).any()


def test_boundaries_count_more_than_the_background_far_away():
    labels = np.zeros((40, 40), np.uint16)
    labels[12:28, 12:28] = 1
    _, targets = targets_of(labels)
    weight = targets.foreground_weight[0]
    assert weight[0, 0] == pytest.approx(1.0)
    assert weight[11, 20] == pytest.approx(2.0)
    assert weight[12, 20] > weight[20, 20] > 0


def test_small_objects_count_more_per_voxel():
    labels = np.zeros((60, 60), np.uint16)
    labels[2:6, 2:6] = 1
    labels[20:56, 20:56] = 2
    _, targets = targets_of(labels)
    assert targets.offset_weight[0, 3, 3] > 2 * targets.offset_weight[0, 40, 40]


def test_unknown_voxels_have_no_weight():
    known = torch.ones((20, 30), dtype=torch.bool)
    known[:, :10] = False
    _, targets = targets_of(crescent(), known)
    assert not targets.foreground_weight[0, :, :10].any() and not targets.offset_weight[0, :, :10].any()
    assert targets.foreground_weight[0, :, 10:].all()


def test_fragments_count_neither_as_nucleus_nor_as_background():
    labels = np.zeros((24, 24), np.int64)
    labels[4:12, 4:12] = 1
    labels[18:20, 18:20] = 2
    objects = find_objects(labels, fragment=5)
    assert objects.counted.tolist() == [True, False]
    tensor = torch.from_numpy(labels)
    known = torch.ones_like(tensor, dtype=torch.bool)
    found = make_targets(tensor, objects.ids, objects.centres, objects.radii, known, objects.counted)
    assert bool((found.foreground_weight[0][tensor == 2] == 0).all())
    assert bool((found.offset_weight[0][tensor == 2] == 0).all())
    assert bool((found.foreground_weight[0][tensor != 2] > 0).all())
    assert bool((found.offset_weight[0][tensor == 1] > 0).all())
