from __future__ import annotations

import numpy as np
from noyau.decoding import vote
from noyau.decoding.device import decode_on, decoder_for
from noyau.domain.geometry import Box
from noyau.domain.model import VoteParams


def test_a_processor_takes_the_array_decoder() -> None:
    assert decoder_for("cpu") is vote.decode


def test_a_device_gives_the_same_block(make_prediction) -> None:
    shape, params = (16, 40, 40), VoteParams(seed_mass=6.0, radius=6, rival_radius=4, max_offset=(3, 6, 6))
    pred = make_prediction(3, shape)
    core = Box((2, 8, 8), (14, 30, 32))
    wanted = vote.decode(pred, (0, 0, 0), shape, params, core=core)
    found = decode_on("cpu", pred, (0, 0, 0), shape, params, core=core)
    assert wanted.labels.any() and found.box == wanted.box == core
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.centres.identity, wanted.centres.identity)
