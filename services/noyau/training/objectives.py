"""What a network is trained to answer, and how far its answer is from the truth: one objective per decoder.

An answer is a stack of channels. The first `logits` of them are logits of probabilities, channel 0 always that of the
foreground; the others are quantities to regress, in their own units. `Targets.foreground` holds what the first should
say and `Targets.offsets` what the others should, so that batches, devices and the loop treat every objective alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from noyau.domain.errors import InvalidInput
from noyau.training.losses import LossParts, VoteLoss
from noyau.training.targets import Targets, make_targets

if TYPE_CHECKING:  # both import the configuration, which asks for objectives
    from noyau.training.dataset import Pair
    from noyau.training.sampling import RawPatch

VOTE = "vote"
NAMES = (VOTE,)


class Objective(Protocol):
    """One kind of answer.

    Attributes:
        name: of the decoder that turns the answer into objects.
        channels: of the network's output.
        logits: how many of them, the first, are logits.
        scale: size of the regressed quantities, so that the trained weights are of order one.
    """

    name: str
    channels: int
    logits: int
    scale: float

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """The targets of a patch that was cut from a pair."""
        ...

    def nothing(self, patch: tuple[int, ...]) -> Targets:
        """The targets of a patch without nuclei."""
        ...

    def loss(self, output: torch.Tensor, targets: Targets) -> LossParts:
        """How far the output (N, channels, *spatial) is from the targets of the batch."""
        ...


class VoteObjective:
    """Foreground, and the offset to the centre of the nucleus in voxels.

    Args:
        ndim: 2 or 3.
        scale: voxels per unit of the regression.
    """

    name = VOTE
    logits = 1

    def __init__(self, ndim: int, scale: float) -> None:
        self.channels, self.scale = 1 + ndim, scale
        self._loss = VoteLoss(scale)

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """See `Objective.targets`."""
        objects = pair.objects
        return make_targets(raw.labels, objects.ids, raw.centres, raw.radii, raw.known, objects.counted)

    def nothing(self, patch: tuple[int, ...]) -> Targets:
        """See `Objective.nothing`."""
        return empty_targets(patch, self.logits, self.channels)

    def loss(self, output: torch.Tensor, targets: Targets) -> LossParts:
        """See `Objective.loss`."""
        parts: LossParts = self._loss(output, targets)
        return parts


def empty_targets(patch: tuple[int, ...], logits: int, channels: int) -> Targets:
    """All background, all of it known, and nothing to regress."""
    ones, zeros = torch.ones((1, *patch)), torch.zeros((1, *patch))
    return Targets(torch.zeros((logits, *patch)), torch.zeros((channels - logits, *patch)), ones, zeros)


def answer_arguments(objective: Objective) -> dict[str, Any]:
    """What a network must be told to answer so: arguments of any architecture."""
    return {"channels": objective.channels, "logits": objective.logits, "offset_scale": objective.scale}


def objective_for(name: str, ndim: int, *, scale: float) -> Objective:
    """The objective of a decoder.

    Args:
        name: of the decoder.
        ndim: 2 or 3.
        scale: voxels per unit of the regression, from the network's arguments.

    Raises:
        InvalidInput: there is no such decoder.
    """
    if name == VOTE:
        return VoteObjective(ndim, scale)
    raise InvalidInput(f"There is no decoder '{name}'.", f"Known are: {', '.join(NAMES)}.")
