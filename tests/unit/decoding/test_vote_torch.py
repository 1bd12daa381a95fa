from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from noyau.decoding import vote, vote_torch
from noyau.domain.geometry import Box
from noyau.domain.model import VoteParams

extents = st.tuples(st.integers(1, 12), st.integers(1, 24), st.integers(1, 24))
params = st.builds(
    VoteParams,
    foreground=st.sampled_from([0.0, 0.5]),
    seed_mass=st.sampled_from([0.0, 1.0, 6.0]),
    nms=st.tuples(*[st.integers(0, 3)] * 3),
    smooth=st.tuples(*[st.integers(0, 2)] * 3),
    weights=st.tuples(*[st.integers(1, 6)] * 3),
    radius=st.integers(0, 6),
    rival_radius=st.integers(0, 6),
    rival_percent=st.sampled_from([0, 100, 400]),
    max_offset=st.tuples(*[st.integers(0, 6)] * 3),
)


@given(shape=extents, seed=st.integers(0, 10**6), params=params, data=st.data())
@settings(max_examples=60, deadline=None)
def test_tensors_give_the_labels_of_arrays(make_prediction, shape, seed, params, data):
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    core = Box(start, tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)))
    block = core.grown(vote.halo(params)).clipped(shape)
    pred = np.ascontiguousarray(make_prediction(seed, shape)[(slice(None), *block.slices)])

    wanted = vote.decode(pred, block.start, shape, params, core=core)
    labels, centres = vote_torch.decode(torch.from_numpy(pred), block.start, shape, params, core=core)

    np.testing.assert_array_equal(labels.numpy(), wanted.labels)
    np.testing.assert_array_equal(centres.identity, wanted.centres.identity)
    np.testing.assert_array_equal(centres.mass, wanted.centres.mass)


@pytest.mark.gpu
def test_a_gpu_gives_the_labels_of_arrays(make_prediction):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    shape, params = (40, 96, 96), VoteParams(seed_mass=20.0)
    pred = make_prediction(5, shape, nuclei=80)
    wanted = vote.decode(pred, (0, 0, 0), shape, params).labels
    labels, _ = vote_torch.decode(torch.from_numpy(pred).cuda(), (0, 0, 0), shape, params)
    assert wanted.any()
    np.testing.assert_array_equal(labels.cpu().numpy(), wanted)
