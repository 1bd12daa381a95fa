"""Where a block is decoded: beside the network, so that a fast GPU does not wait for a processor."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np

from noyau.decoding import vote
from noyau.domain.geometry import Box, Index3
from noyau.domain.model import VoteParams


class Decode(Protocol):
    """What `noyau.decoding.vote.decode` does, wherever it runs."""

    def __call__(
        self, pred: np.ndarray, origin: Index3, full_shape: Index3, params: VoteParams, *, core: Box | None = None
    ) -> vote.VoteBlock: ...


def decoder_for(device: str) -> Decode:
    """The decoder for predictions of a network on `cpu` or `cuda:N`; the labels are the same bit for bit."""
    return vote.decode if device == "cpu" else partial(decode_on, device)


def decode_on(
    device: str,
    pred: np.ndarray,
    origin: Index3,
    full_shape: Index3,
    params: VoteParams,
    *,
    core: Box | None = None,
) -> vote.VoteBlock:
    """`noyau.decoding.vote.decode` on the tensors of a device."""
    # Imported here so that decoding on a processor does not need torch.
    import torch

    from noyau.decoding import vote_torch

    block = Box.of(pred.shape[1:]).shifted(origin)
    box = block if core is None else core.intersection(block)
    tensor = torch.from_numpy(np.ascontiguousarray(pred)).to(device)
    labels, centres = vote_torch.decode(tensor, origin, full_shape, params, core=box)
    return vote.VoteBlock(labels.cpu().numpy(), box, centres)
