"""What a decoder is told after training: lengths follow from the size of the nuclei and the shape of the voxels."""

from __future__ import annotations

from math import ceil
from typing import Any

from noyau.training.config import TrainConfig
from noyau.training.objectives import BORDER, FLOW, STAR, VOTE
from noyau.training.shape_targets import spacing_of

# Neighbouring windows share about one large nucleus: twice the typical one in 3D, thrice in 2D, where sizes vary more.
_LARGEST = {2: 3.0, 3: 2.0}
# Smallest object kept, as a share of a typical nucleus; the shipped parameters of the vote have the same.
_SMALLEST = {2: 0.04, 3: 0.13}


def decoder_parameters(config: TrainConfig, diameter: float) -> dict[str, Any]:
    """Parameters of the run's decoder for a model package; none for the vote, which has its own.

    Args:
        config: the run.
        diameter: of a typical nucleus, micrometres (pixels where the model works in pixels).
    """
    if config.decoder == VOTE:
        return {}
    ndim = config.ndim
    edges = config.voxel_size or (1.0, 1.0, 1.0)
    spacing = [1.0, *spacing_of(config.voxel_size, 2)] if ndim == 2 else list(spacing_of(config.voxel_size, 3))
    across = [diameter / edge for edge in edges]
    if ndim == 2:
        across[0] = 0.0
    parameters: dict[str, Any] = {
        "min_voxels": max(15, round(_SMALLEST[ndim] * _volume(across, ndim))),
        "overlap": [ceil(_LARGEST[ndim] * a) for a in across],
    }
    if config.decoder == BORDER:
        parameters["seed_voxels"] = max(2, round(0.01 * _volume(across, ndim)))
    if config.decoder == STAR:
        objective = config.objective
        parameters |= {"ndim": ndim, "rays": objective.channels - objective.logits, "quantum": objective.quantum}
        parameters["spacing"] = spacing
    if config.decoder == FLOW:
        parameters |= {
            "quantum": config.objective.quantum,
            "spacing": spacing,
            # Half a voxel a step, from the end of a large nucleus to its middle.
            "steps": ceil(_LARGEST[ndim] * max(across)),
            "apart": [round(0.25 * a) for a in across],
            "arrivals": max(5.0, 0.05 * _volume(across, ndim)),
            "reach": 0.4 * max(across),
        }
    return parameters


def _volume(across: list[float], ndim: int) -> float:
    """Voxels of an ellipsoid (an ellipse) with these axes."""
    z, y, x = across
    return 3.1416 / 6 * z * y * x if ndim == 3 else 3.1416 / 4 * y * x
