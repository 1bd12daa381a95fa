"""Border, star and flow: targets say what the decoders need, and the loss is blind where nothing is known."""

import numpy as np
import pytest
import torch
from noyau.models.networks import build
from noyau.training.config import TrainConfig
from noyau.training.dataset import Pair
from noyau.training.decoder_defaults import decoder_parameters
from noyau.training.flow_targets import heat_flow
from noyau.training.objectives import NAMES, answer_arguments, objective_for
from noyau.training.sampling import cut
from noyau.training.shape_targets import borders, cut_objects, depth, extended, spacing_of
from noyau.training.targets import find_objects


def two_squares():
    """Two touching squares and one that the edge cuts."""
    labels = np.zeros((30, 40), np.int32)
    labels[8:18, 6:16] = 1
    labels[8:18, 16:26] = 2
    labels[24:30, 30:40] = 3
    return labels


def crescent():
    """A C, whose middle is not inside."""
    labels = np.zeros((24, 24), np.int32)
    labels[2:22, 2:20] = 1
    labels[7:17, 7:20] = 0
    return labels


def patch_of(labels):
    pair = Pair("p", labels.astype(np.float32), labels, 0.0, 1.0, find_objects(labels))
    return pair, cut(pair, labels.shape, np.eye(labels.ndim), (np.array(labels.shape) - 1) / 2)


def test_depth_is_one_at_the_deepest_voxel_and_falls_to_the_ends_of_each_nucleus():
    labels = two_squares()
    found = depth(labels, (1.0, 1.0))
    for label in (1, 2):
        assert found[labels == label].max() == pytest.approx(1.0)
    assert not found[labels == 0].any() and found.max() <= 1.0
    # Where two touch there is a valley.
    assert found[12, 15] < 0.3 and found[12, 16] < 0.3 < found[12, 11]


def test_depth_knows_the_shape_of_the_voxels():
    labels = np.zeros((9, 21, 21), np.int32)
    labels[2:7, 5:16, 5:16] = 1
    thick, thin = depth(labels, (3.0, 1.0, 1.0)), depth(labels, (1.0, 1.0, 1.0))
    # With long voxels the ends in y and x are nearer than those in z.
    assert thick[2, 10, 10] > thin[2, 10, 10]
    assert spacing_of((1.75, 0.8, 0.8), 3) == pytest.approx((2.1875, 1.0, 1.0))
    assert spacing_of((1.75, 0.8, 0.4), 2) == (2.0, 1.0) and spacing_of(None, 3) == (1.0, 1.0, 1.0)


def test_depth_of_what_fills_a_patch_and_of_nothing():
    assert np.isfinite(depth(np.ones((8, 8), np.int32), (1.0, 1.0))).all()
    assert not depth(np.zeros((8, 8), np.int32), (1.0, 1.0)).any()


def test_borders_are_two_voxels_wide_between_nuclei_and_around_them():
    found = borders(two_squares())
    assert found[12, 15] and found[12, 16] and not found[12, 14] and not found[12, 17]
    assert found[12, 5] and found[12, 6] and not found[0, 0]


def test_nuclei_that_the_patch_cuts_are_known_as_such():
    labels = two_squares()
    np.testing.assert_array_equal(cut_objects(labels), labels == 3)


def test_a_nucleus_does_not_end_where_knowledge_ends():
    labels = np.zeros((10, 20), np.int64)
    labels[2:8, 4:12] = 5
    known = torch.ones(10, 20, dtype=torch.bool)
    known[:, 8:] = False
    seen = extended(torch.from_numpy(labels) * known, known)
    assert (seen[3:7, 8:] == 5).all() and not borders(seen)[4, 8]


@pytest.mark.parametrize("labels", [two_squares(), crescent()], ids=["squares", "crescent"])
def test_following_the_flow_leads_to_the_middle_without_leaving_the_nucleus(labels):
    objects = find_objects(labels)
    flow = heat_flow(labels, objects.ids, objects.centres).numpy()
    lengths = np.linalg.norm(flow, axis=0)
    assert not lengths[labels == 0].any() and lengths.max() == pytest.approx(1.0, abs=1e-4)
    for label, centre in zip(objects.ids, objects.centres, strict=True):
        voxels = np.argwhere(labels == label)
        at = voxels.astype(float)
        for _ in range(120):
            cell = np.rint(at).astype(int)
            at += 0.5 * flow[(slice(None), *cell.T)].T
        cell = np.rint(at).astype(int)
        assert (labels[tuple(cell.T)] == label).mean() > 0.98
        assert np.percentile(np.linalg.norm(at - centre, axis=1), 95) < 2.0


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_targets_fit_the_answer_and_a_perfect_answer_is_better_than_a_wrong_one(name, ndim):
    labels = two_squares() if ndim == 2 else np.repeat(two_squares()[None], 12, 0) * (np.arange(12) > 3)[:, None, None]
    pair, raw = patch_of(labels.astype(np.int32))
    objective = objective_for(name, ndim, scale=4.0, voxel_size=(2.0, 1.0, 1.0))
    targets = objective.targets(raw, pair)
    nothing = objective.nothing(labels.shape)
    assert targets.foreground.shape == nothing.foreground.shape == (objective.logits, *labels.shape)
    assert targets.offsets.shape == nothing.offsets.shape == (objective.channels - objective.logits, *labels.shape)
    assert targets.foreground.min() >= 0 and targets.foreground.max() <= 1
    batch = type(targets)(*(getattr(targets, n)[None] for n in targets.__dataclass_fields__))
    right = torch.cat([torch.logit(batch.foreground.clamp(0.01, 0.99)), batch.offsets], 1)
    good, bad = objective.loss(right, batch).total, objective.loss(right.flip(-1), batch).total
    assert torch.isfinite(good) and good < 0.6 * bad


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_blind_to_what_is_not_known(name):
    pair, raw = patch_of(two_squares())
    known = torch.ones(30, 40, dtype=torch.bool)
    known[:, 28:] = False
    objective = objective_for(name, 2, scale=4.0)
    raw = type(raw)(raw.image, raw.labels, raw.centres, raw.radii, known)
    targets = objective.targets(raw, pair)
    batch = type(targets)(*(getattr(targets, n)[None] for n in targets.__dataclass_fields__))
    one = torch.randn(1, objective.channels, 30, 40, generator=torch.Generator().manual_seed(0))
    two = one.clone()
    two[..., 28:] = 3.0
    assert torch.equal(objective.loss(one, batch).total, objective.loss(two, batch).total)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_told_what_to_answer_and_its_package_how_to_decode(name, tmp_path, tiny_network):
    config = TrainConfig(name="t", ndim=2, data=(), out=tmp_path, max_steps=1, decoder=name, arguments=tiny_network)
    objective = config.objective
    network = build(config.architecture, config.network_arguments)
    assert (network.channels, network.logits) == (objective.channels, objective.logits)
    parameters = decoder_parameters(config, 22.0)
    if name == "vote":
        assert config.network_arguments == tiny_network and parameters == {}
        return
    from noyau.decoding.windowed import window_decoder

    assert config.network_arguments == {**tiny_network, **answer_arguments(objective)}
    decoder = window_decoder(name, parameters)
    planes = objective.channels + (name == "flow")
    assert decoder.planes == planes and decoder.overlap == (0, 66, 66) and decoder.min_voxels == 15
