"""Every objective learns from points and boxes what is certain, and shapes of a likely size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from noyau.training.data.facts import Facts
from noyau.training.data.preparing import prepare
from noyau.training.data.values import Pixels, Sample
from noyau.training.dataset import Pair
from noyau.training.objectives import NAMES, objective_for
from noyau.training.sampling import RawPatch, cut

SHAPE = (48, 48)
CENTRE = np.array([[24.0, 23.0]])


def patch_of(kind: str) -> tuple[RawPatch, Pair]:
    """A nucleus of radius 8 in the middle, marked by a point or by its box."""
    image = np.random.default_rng(0).poisson(50, SHAPE)
    marks = {"points": CENTRE} if kind == "points" else {"boxes": np.array([[16, 15, 33, 32]])}
    ready = prepare(Sample(Pixels(image), **marks), "made", 2, Facts(radius=8.5, complete=True))
    assert ready.objects is not None
    pair = Pair("made", ready.image, ready.labels, 0.0, 99.0, ready.objects, ready.known, ready.kind)
    return cut(pair, SHAPE, np.eye(2), (np.array(SHAPE) - 1) / 2), pair


@pytest.mark.parametrize("kind", ["points", "boxes"])
@pytest.mark.parametrize("name", NAMES)
def test_only_what_is_certain_counts(name: str, kind: str) -> None:
    raw, pair = patch_of(kind)
    targets = objective_for(name, 2, scale=1.0).targets(raw, pair)
    distance = torch.from_numpy(np.hypot(*(np.indices(SHAPE) - CENTRE[0][:, None, None])))
    weight, foreground = targets.foreground_weight[0], targets.foreground[0]
    assert (weight[distance <= 4] > 0).all() and (foreground[distance <= 4] > 0.5).all()
    assert (weight[distance > 20] > 0).all() and (foreground[distance > 20] < 0.5).all()
    assert not weight[(distance > 6) & (distance < 9)].any()
    assert not targets.offset_weight[0][distance > 6].any() and targets.offset_weight[0][distance <= 4].all()
    assert all(torch.isfinite(t).all() for t in (targets.foreground, targets.offsets))


@pytest.mark.parametrize("kind", ["points", "boxes"])
def test_offsets_point_at_the_mark_and_rays_end_at_the_likely_rim(kind: str) -> None:
    raw, pair = patch_of(kind)
    offsets = objective_for("vote", 2, scale=1.0).targets(raw, pair).offsets
    np.testing.assert_allclose(offsets[:, 22, 26], [2.0, -3.0], atol=0.01)
    rays = objective_for("star", 2, scale=1.0).targets(raw, pair).offsets[:, 24, 23]
    assert float(rays.min()) > 7 and float(rays.max()) < 10
