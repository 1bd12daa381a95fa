"""Intensity of one object in one channel, above the background around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np

# The background of an object: unlabelled voxels in its bounding box widened by SHELL_UM, further than GAP_UM (the
# blur of the optics) from any object. Both in voxels: at least one (gap) or two (shell), at most MAX_VOXELS.
SHELL_UM = 2.5
GAP_UM = 0.8
MAX_VOXELS = 8


def gap_and_shell(spacing: Sequence[float], planar: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Gap and shell of the background in voxels z/y/x; 0 along z in a 2D image."""
    gap = [min(MAX_VOXELS, max(1, ceil(GAP_UM / s - 1e-9))) for s in spacing]
    shell = [
        min(2 * MAX_VOXELS, g + max(2, ceil((SHELL_UM - GAP_UM) / s - 1e-9))) for g, s in zip(gap, spacing, strict=True)
    ]
    if planar:
        gap[0] = shell[0] = 0
    return tuple(gap), tuple(shell)


def background_mask(labels: np.ndarray, gap: Sequence[int]) -> np.ndarray:
    """Voxels without label and further than `gap` voxels (a box) from any label; shape of `labels`."""
    near: np.ndarray = labels != 0
    for axis, reach in enumerate(gap):
        grown = near.copy()
        for step in range(1, min(reach, near.shape[axis] - 1) + 1):
            ahead = (slice(None),) * axis + (slice(step, None),)
            behind = (slice(None),) * axis + (slice(None, -step),)
            grown[ahead] |= near[behind]
            grown[behind] |= near[ahead]
        near = grown
    free: np.ndarray = ~near
    return free


def intensity_columns(values: np.ndarray, around: np.ndarray, channel: str) -> dict[str, float]:
    """Intensity columns of one object in one channel.

    Args:
        values: intensities of the object's voxels, shape (n,), n > 0.
        around: intensities of the background around it; where it is empty the background is NaN.
        channel: column suffix.
    """
    values = values.astype(np.float64)
    total = float(values.sum())
    around = around.astype(np.float64)
    return {
        f"intensity_mean_{channel}": total / len(values),
        f"intensity_sd_{channel}": float(values.std()),
        f"intensity_min_{channel}": float(values.min()),
        f"intensity_max_{channel}": float(values.max()),
        f"intensity_median_{channel}": float(np.median(values)),
        f"intensity_sum_{channel}": total,
        f"background_mean_{channel}": float(around.mean()) if len(around) else float("nan"),
        f"background_sd_{channel}": float(around.std()) if len(around) else float("nan"),
    }


def above_background(columns: Mapping[str, np.ndarray], counts: np.ndarray, channel: str) -> dict[str, np.ndarray]:
    """Completes a channel's columns once all objects are known.

    An object without background of its own (nuclei on all sides) takes the median of the others.

    Args:
        columns: what `intensity_columns` gave, shape (objects,) each.
        counts: voxels of each object.
        channel: column suffix.
    """
    filled = {}
    for name in (f"background_mean_{channel}", f"background_sd_{channel}"):
        known = columns[name][~np.isnan(columns[name])]
        typical = float(np.median(known)) if len(known) else float("nan")
        filled[name] = np.where(np.isnan(columns[name]), typical, columns[name])
    mean, noise = filled.values()
    average = columns[f"intensity_mean_{channel}"]
    filled[f"intensity_integrated_{channel}"] = columns[f"intensity_sum_{channel}"] - counts * mean
    filled[f"snr_{channel}"] = np.where(noise > 0, (average - mean) / np.where(noise > 0, noise, 1.0), np.nan)
    return filled
