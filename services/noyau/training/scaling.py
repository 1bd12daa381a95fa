"""Parameters of the vote decoder for nuclei of another size than those that the shipped ones were chosen for."""

from __future__ import annotations

from dataclasses import replace

from noyau.domain.geometry import Index3, as_index
from noyau.domain.model import VoteParams

# Diameter, in voxels, of the ball (disc) as large as the nuclei that the shipped parameters were chosen on.
REFERENCE = {3: 13.0, 2: 22.0}
# Within this factor the chosen parameters hold.
_NEAR = 1.35
_LONGEST_OFFSET = 63


def near(diameter: float, reference: float) -> bool:
    """Whether parameters that were chosen for nuclei of the reference diameter hold for another one."""
    return 1 / _NEAR < diameter / reference < _NEAR


def scaled_vote(shipped: VoteParams, ndim: int, diameter: float, reference: float | None = None) -> VoteParams:
    """Lengths grow with the diameter, masses and sizes with its power; the smoothing of the votes stays.

    Args:
        shipped: parameters for nuclei of the reference diameter.
        ndim: 2 or 3.
        diameter: of the ball (disc) as large as the median nucleus, in voxels of the model's grid.
        reference: diameter that the parameters were chosen for, in the same voxels; None takes `REFERENCE`.
    """
    reference = REFERENCE[ndim] if reference is None else reference
    return shipped if near(diameter, reference) else stretched_vote(shipped, ndim, diameter / reference)


def stretched_vote(vote: VoteParams, ndim: int, ratio: float) -> VoteParams:
    """The parameters for nuclei whose diameter is `ratio` times that of those they were chosen for."""
    body = ratio**ndim
    return replace(
        vote,
        seed_mass=max(1.0, round(vote.seed_mass * body, 1)),
        nms=_lengths(vote.nms, ratio),
        radius=max(2, round(vote.radius * ratio)),
        max_offset=as_index(min(n, _LONGEST_OFFSET) for n in _lengths(vote.max_offset, ratio)),
        min_voxels=max(1, round(vote.min_voxels * body)),
    )


def _lengths(values: Index3, ratio: float) -> Index3:
    """An axis of length 0 (z of a plane) stays so; others stay at least 1."""
    return as_index(0 if value == 0 else max(1, round(value * ratio)) for value in values)
