"""Learning from images without labels: some voxels are hidden, and the network says what was there.

Two kinds of hiding alternate. Single voxels that are replaced by a neighbour (Noise2Void, Krull et al. 2019) teach to
tell noise from signal, since noise cannot be guessed from the neighbourhood. Whole blocks (masked image modelling, He
et al. 2022) teach what nuclei look like. The body of such a network is a start for any decoder; its head is not, see
`noyau.training.growth`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from noyau.training.losses import LossParts
from noyau.training.targets import Targets

if TYPE_CHECKING:
    from noyau.training.dataset import Pair
    from noyau.training.sampling import RawPatch

DENOISE = "denoise"
# Share of the voxels that are replaced one by one, and how far away their replacement is at most.
SPOTS = 0.02
REACH = 2
# Share of the blocks that are hidden, and their edges y/x; half of it in z, where voxels are longer.
BLOCKS = 0.25
EDGES = (6, 16)
# Half the patches are spoilt one way, half the other.
SPOT_SHARE = 0.5


class DenoiseObjective:
    """The intensity of hidden voxels, in the units of the network's input; 2D and 3D alike."""

    name = DENOISE
    channels = 1
    logits = 0
    scale = 1.0
    quantum = 1.0
    start = 0.0

    loss: Callable[[torch.Tensor, Targets], LossParts]

    def __init__(self) -> None:
        self.loss = hidden_loss

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """Where the image is known; what was there is added by `finish`."""
        return self._targets(raw.known[None].float())

    def nothing(self, patch: tuple[int, ...]) -> Targets:
        """See `Objective.nothing`."""
        return self._targets(torch.ones((1, *patch)))

    def finish(self, image: torch.Tensor, targets: Targets, rng: np.random.Generator) -> tuple[torch.Tensor, Targets]:
        """Hides voxels of an augmented patch (*spatial), and keeps what they were as the target."""
        hide = _spots if rng.random() < SPOT_SHARE else _blocks
        spoilt, hidden = hide(image.cpu(), rng)
        hidden = hidden[None] & (targets.foreground_weight > 0)
        return spoilt.to(image.device), replace(targets, offsets=image.cpu()[None], offset_weight=hidden.float())

    def _targets(self, known: torch.Tensor) -> Targets:
        none = known.new_zeros((0, *known.shape[1:]))
        return Targets(none, torch.zeros_like(known), known, torch.zeros_like(known))


def hidden_loss(output: torch.Tensor, targets: Targets) -> LossParts:
    """Smooth L1 of the hidden voxels; the other parts of the loss are 0."""
    where = targets.offset_weight
    error = functional.smooth_l1_loss(output, targets.offsets, reduction="none", beta=0.1)
    mean = (error * where).sum() / where.sum().clamp_min(1.0)
    nothing = torch.zeros_like(mean)
    return LossParts(mean, nothing, nothing, mean)


def _spots(image: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Single voxels take the value of a voxel nearby."""
    draw = torch.Generator().manual_seed(int(rng.integers(2**62)))
    hidden = torch.rand(image.shape, generator=draw) < SPOTS
    where = hidden.nonzero()
    steps = torch.randint(-REACH, REACH + 1, where.shape, generator=draw)
    # A voxel that stays where it is would give its answer away.
    steps[(steps == 0).all(dim=1), -1] = 1
    size = torch.tensor(image.shape)
    # Beyond the border the neighbour on the other side is taken.
    source = where + steps
    source = torch.where((source < 0) | (source >= size), where - steps, source).clamp_min(0)
    source = torch.minimum(source, size - 1)
    spoilt = image.clone()
    spoilt[hidden] = image[tuple(source.T)]
    return spoilt, hidden


def _blocks(image: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole blocks take the median of the patch."""
    edge = int(rng.integers(EDGES[0], EDGES[1] + 1))
    edges = [max(1, edge // 2), edge, edge][-image.dim() :]
    coarse = rng.random([-(-n // e) for n, e in zip(image.shape, edges, strict=True)]) < BLOCKS
    for axis, e in enumerate(edges):
        coarse = np.repeat(coarse, e, axis=axis)
    hidden = torch.from_numpy(np.ascontiguousarray(coarse[tuple(slice(0, n) for n in image.shape)]))
    return torch.where(hidden, image.median(), image), hidden
