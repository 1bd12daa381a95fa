"""The ideal prediction is what the network's own quantisation would make of the targets, and decodes to the truth."""

import numpy as np
import pytest
from noyau.decoding.whole import segment_whole
from noyau.decoding.windowed import window_decoder
from noyau.domain.model import VoteParams
from noyau.training.ideal import ideal_prediction
from noyau.training.objectives import NAMES, RAYS, objective_for

VOTE = VoteParams(seed_mass=20, smooth=(0, 2, 2), nms=(0, 3, 3), weights=(1, 1, 1), radius=6, min_voxels=20)


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_comes_back(name):
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(50), indexing="ij"), -1)
    labels = np.zeros((40, 50), np.int32)
    for label, centre in enumerate(((14, 14), (14, 30), (30, 22)), start=1):
        labels[((grid - centre) ** 2).sum(-1) <= 49] = label
    prediction = ideal_prediction(objective_for(name, 2, scale=8.0), labels)
    assert prediction.dtype == np.uint8 and prediction.shape[1:] == (1, 40, 50)
    parameters = {"min_voxels": 20}
    if name == "star":
        parameters |= {"ndim": 2, "rays": RAYS[2], "quantum": 0.5}
    decoder = None if name == "vote" else window_decoder(name, parameters)
    found = segment_whole(prediction, VOTE, decoder)[0]
    assert found.max() == 3
    for label in (1, 2, 3):
        inside = labels == label
        mine = np.bincount(found[inside]).argmax()
        assert mine and (inside & (found == mine)).sum() > 0.85 * (inside | (found == mine)).sum()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_without_nuclei(name):
    prediction = ideal_prediction(objective_for(name, 3, scale=8.0), np.zeros((6, 16, 16), np.int32))
    assert prediction.shape[1:] == (6, 16, 16) and not prediction[0].any()
