"""Objectives: the vote is what it was before there were others, and an unknown one is refused."""

import numpy as np
import pytest
import torch
from noyau.domain.errors import InvalidInput
from noyau.training.batches import BatchSource
from noyau.training.config import TrainConfig
from noyau.training.dataset import find_files, load_pairs
from noyau.training.losses import VoteLoss
from noyau.training.objectives import objective_for
from noyau.training.sampling import cut
from noyau.training.targets import make_targets


@pytest.fixture
def pair(pairs_folder):
    config = TrainConfig(name="t", ndim=2, data=(str(pairs_folder),), out=pairs_folder, max_steps=1)
    return load_pairs(find_files(config.data)[:1], 2, config.normalisation)[0]


def test_the_vote_objective_is_the_vote_targets_and_the_vote_loss(pair):
    raw = cut(pair, (32, 32), np.eye(2), np.array([20.0, 25.0]))
    objective = objective_for("vote", 2, scale=4.0)
    found = objective.targets(raw, pair)
    objects = pair.objects
    wanted = make_targets(raw.labels, objects.ids, raw.centres, raw.radii, raw.known, objects.counted)
    for name in ("foreground", "offsets", "foreground_weight", "offset_weight"):
        assert torch.equal(getattr(found, name), getattr(wanted, name))
    batch = type(wanted)(*(getattr(wanted, n)[None] for n in wanted.__dataclass_fields__))
    output = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(objective.loss(output, batch).total, VoteLoss(4.0)(output, batch).total)


def test_an_unknown_decoder_names_the_known_ones(pairs_folder, tiny_network):
    with pytest.raises(InvalidInput, match="vote"):
        objective_for("guess", 2, scale=1.0)
    config = TrainConfig(
        name="t", ndim=2, data=(str(pairs_folder),), out=pairs_folder, max_steps=1, arguments=tiny_network,
        decoder="guess",
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="guess"):
        BatchSource(config, load_pairs(find_files(config.data), 2, config.normalisation))
