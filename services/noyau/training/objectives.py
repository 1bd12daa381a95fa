"""What a network is trained to answer, and how far its answer is from the truth: one objective per decoder.

An answer is a stack of channels. The first `logits` of them are logits of probabilities, channel 0 always that of the
foreground; the others are quantities to regress, in their own units. `Targets.foreground` holds what the first should
say and `Targets.offsets` what the others should, so that batches, devices and the loop treat every objective alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from noyau.decoding import star_geometry
from noyau.domain.errors import InvalidInput
from noyau.training.flow_targets import heat_flow
from noyau.training.losses import LossParts, VoteLoss
from noyau.training.pretraining import DENOISE, DenoiseObjective
from noyau.training.shape_targets import Spacing, borders, cut_objects, depth, extended, spacing_of
from noyau.training.targets import Targets, make_targets

if TYPE_CHECKING:  # both import the configuration, which asks for objectives
    from noyau.training.dataset import Pair
    from noyau.training.sampling import RawPatch

VOTE, BORDER, STAR, FLOW = "vote", "border", "star", "flow"
NAMES = (VOTE, BORDER, STAR, FLOW)
RAYS = {2: 32, 3: 48}
"""Rays of a star-convex shape by dimensions: the published models' 32 and half of their 96."""
QUANTUM = {2: 0.5, 3: 0.25}
"""Steps of their lengths, voxels: as bytes they reach 63 and 31 voxels."""


class Objective(Protocol):
    """One kind of answer.

    Attributes:
        name: of the decoder that turns the answer into objects.
        channels: of the network's output.
        logits: how many of them, the first, are logits.
        scale: size of the regressed quantities, so that the trained weights are of order one.
        quantum: step in which the regressed quantities are handed to the decoder, as bytes.
        start: what an untrained network says of them, in units of `scale`.
        loss: how far an output (N, channels, *spatial) is from the targets of its batch.
    """

    name: str
    channels: int
    logits: int
    scale: float
    quantum: float
    start: float
    loss: Callable[[torch.Tensor, Targets], LossParts]

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """The targets of a patch that was cut from a pair."""
        ...

    def nothing(self, patch: tuple[int, ...]) -> Targets:
        """The targets of a patch without nuclei."""
        ...

    def finish(self, image: torch.Tensor, targets: Targets, rng: np.random.Generator) -> tuple[torch.Tensor, Targets]:
        """Input and targets of an augmented patch (*spatial), as the network gets them."""
        ...


class VoteObjective:
    """Foreground, and the offset to the centre of the nucleus in voxels.

    Args:
        ndim: 2 or 3.
        scale: voxels per unit of the regression.
    """

    name = VOTE
    logits = 1
    quantum = 1.0
    start = 0.0
    loss: Callable[[torch.Tensor, Targets], LossParts]

    def __init__(self, ndim: int, scale: float) -> None:
        self.channels, self.scale = 1 + ndim, scale
        self.loss = VoteLoss(scale)

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """See `Objective.targets`."""
        objects = pair.objects
        return make_targets(raw.labels, objects.ids, raw.centres, raw.radii, raw.known, objects.counted)

    def nothing(self, patch: tuple[int, ...]) -> Targets:
        """See `Objective.nothing`."""
        return empty_targets(patch, self.logits, self.channels)

    def finish(self, image: torch.Tensor, targets: Targets, rng: np.random.Generator) -> tuple[torch.Tensor, Targets]:
        """See `Objective.finish`: both as they are."""
        return image, targets


class BorderObjective(VoteObjective):
    """Foreground, borders between nuclei and around them, and depth: three probabilities.

    Args:
        ndim: 2 or 3.
        spacing: relative lengths of a voxel's edges.
    """

    name = BORDER
    logits = 3

    def __init__(self, ndim: int, spacing: Spacing) -> None:
        super().__init__(ndim, scale=1.0)
        self.channels, self._spacing = 3, spacing
        self.loss = VoteLoss(1.0, logits=3)

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """See `Objective.targets`."""
        vote = super().targets(raw, pair)
        labels = _shapes(raw, pair)
        ends = torch.from_numpy(borders(labels).astype(np.float32))[None]
        deep = torch.from_numpy(depth(labels, self._spacing))[None]
        nothing = torch.zeros_like(vote.offsets[:0])
        return replace(vote, foreground=torch.cat([vote.foreground, ends, deep]), offsets=nothing)


class StarObjective(VoteObjective):
    """Foreground and depth, and the distance to the end of the nucleus along rays, voxels.

    Args:
        ndim: 2 or 3.
        scale: voxels per unit of the regression.
        spacing: relative lengths of a voxel's edges.
    """

    name = STAR
    logits = 2
    # About the radius of a typical nucleus: rays that start at nothing drown the probabilities in their error.
    start = 0.75

    def __init__(self, ndim: int, scale: float, spacing: Spacing) -> None:
        super().__init__(ndim, scale)
        star_geometry.require()
        self._rays, self._spacing = RAYS[ndim], spacing
        self.channels = 2 + self._rays
        self.quantum = QUANTUM[ndim]
        # All rays together weigh as much as one length: more of them must not drown what is nucleus and what is deep.
        self.loss = VoteLoss(scale, logits=2, share=1.0 / self._rays)

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """See `Objective.targets`. Nuclei that the patch cuts teach no distances: their ends are not in it."""
        vote = super().targets(raw, pair)
        labels = _shapes(raw, pair)
        deep = torch.from_numpy(depth(labels, self._spacing))[None]
        lengths = torch.from_numpy(star_geometry.distances(labels, self._rays, self._spacing))
        whole = torch.from_numpy(~cut_objects(labels))[None]
        # A candidate's shape matters where it is likely to be chosen.
        weight = vote.offset_weight * whole * (0.1 + deep)
        foreground = torch.cat([vote.foreground, deep])
        return replace(vote, foreground=foreground, offsets=lengths * (raw.labels > 0), offset_weight=weight)


class FlowObjective(VoteObjective):
    """Foreground, and the direction to the middle of the nucleus within it, a unit vector."""

    name = FLOW
    quantum = 0.01

    def __init__(self, ndim: int) -> None:
        super().__init__(ndim, scale=0.5)

    def targets(self, raw: RawPatch, pair: Pair) -> Targets:
        """See `Objective.targets`."""
        vote = super().targets(raw, pair)
        return replace(vote, offsets=heat_flow(raw.labels.numpy().astype(np.int32), pair.objects.ids, raw.centres))


def empty_targets(patch: tuple[int, ...], logits: int, channels: int) -> Targets:
    """All background, all of it known, and nothing to regress."""
    ones, zeros = torch.ones((1, *patch)), torch.zeros((1, *patch))
    return Targets(torch.zeros((logits, *patch)), torch.zeros((channels - logits, *patch)), ones, zeros)


def answer_arguments(objective: Objective) -> dict[str, Any]:
    """What a network must be told to answer so: arguments of any architecture."""
    return {
        "channels": objective.channels,
        "logits": objective.logits,
        "offset_scale": objective.scale,
        "quantum": objective.quantum,
        "start": objective.start,
    }


def _shapes(raw: RawPatch, pair: Pair) -> np.ndarray:
    """Labels int32 (*spatial) whose shapes can be measured: nuclei go on where nothing is known.

    The shapes that stand for points and boxes are whole already, though their rims are unknown.
    """
    if pair.kind != "labels":
        return raw.labels.numpy().astype(np.int32)
    return extended(raw.labels, raw.known)


def objective_for(
    name: str, ndim: int, *, scale: float, voxel_size: tuple[float, float, float] | None = None
) -> Objective:
    """The objective of a decoder.

    Args:
        name: of the decoder.
        ndim: 2 or 3.
        scale: voxels per unit of the regression, from the network's arguments.
        voxel_size: micrometres z/y/x, of which only the proportions matter; None for cubes.

    Raises:
        InvalidInput: there is no such decoder.
        FailedPrecondition: it needs an optional package that is not installed.
    """
    spacing = spacing_of(voxel_size, ndim)
    if name == VOTE:
        return VoteObjective(ndim, scale)
    if name == BORDER:
        return BorderObjective(ndim, spacing)
    if name == STAR:
        return StarObjective(ndim, scale, spacing)
    if name == FLOW:
        return FlowObjective(ndim)
    if name == DENOISE:
        return DenoiseObjective()
    raise InvalidInput(f"There is no decoder '{name}'.", f"Known are: {', '.join(NAMES)}.")
