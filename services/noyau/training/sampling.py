"""Random affine patches: zoom, rotation in the y/x plane and flips, with the centres transformed exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from noyau.domain.intensity import rescale
from noyau.training.config import AugmentConfig
from noyau.training.dataset import Pair


@dataclass(frozen=True)
class RawPatch:
    """A patch before intensity augmentation.

    Attributes:
        image: float32 (*spatial), 0 at the low and 1 at the high percentile of the image.
        labels: int64 (*spatial), ids of the image.
        centres: of all objects of the image, in patch voxels, shape (n, ndim).
        radii: in patch voxels.
        known: bool (*spatial), False outside the image (there the image is its reflection, the labels are 0) and where
            the annotation says nothing.
    """

    image: torch.Tensor
    labels: torch.Tensor
    centres: np.ndarray
    radii: np.ndarray
    known: torch.Tensor


def draw_matrix(rng: np.random.Generator, ndim: int, config: AugmentConfig) -> np.ndarray:
    """A matrix from patch voxels to source voxels, shape (ndim, ndim)."""
    if rng.random() < config.zoom_wide_share:
        low, high = np.log(config.zoom_wide)
        log_zoom = rng.uniform(low, high)
    else:
        log_zoom = rng.normal(0.0, config.zoom_sd)
    zoom = np.exp(log_zoom + rng.uniform(-config.zoom_axis, config.zoom_axis, ndim))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    rotation = np.eye(ndim)
    rotation[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    flips = np.diag(rng.choice([-1.0, 1.0], ndim))
    matrix: np.ndarray = rotation @ flips @ np.diag(1.0 / zoom)
    return matrix


def draw_centre(
    rng: np.random.Generator, pair: Pair, patch: tuple[int, ...], matrix: np.ndarray, near_object: float = 0.85
) -> np.ndarray:
    """Source position of the patch's middle: mostly near a nucleus, and mostly inside the image."""
    extent = np.array(pair.image.shape)
    reach = np.abs(matrix) @ (np.array(patch) / 2)
    if len(pair.objects.ids) and rng.random() < near_object:
        at = pair.objects.centres[rng.integers(len(pair.objects.ids))]
        middle = at + matrix @ (rng.uniform(-0.4, 0.4, len(patch)) * patch)
    else:
        middle = rng.uniform(0.0, 1.0, len(patch)) * (extent - 1)
    margin = np.minimum(reach, extent / 2) * 0.8
    inside: np.ndarray = np.clip(middle, margin, np.maximum(extent - 1 - margin, margin))
    return inside


def cut(pair: Pair, patch: tuple[int, ...], matrix: np.ndarray, middle: np.ndarray) -> RawPatch:
    """Resamples one patch: linear for the image, nearest for the labels.

    Args:
        pair: where to cut.
        patch: shape in voxels.
        matrix: patch voxels -> source voxels.
        middle: source position of the patch's middle.
    """
    ndim = len(patch)
    inverse = np.linalg.inv(matrix)
    half = (np.array(patch) - 1) / 2
    box = _source_box(pair.image.shape, patch, matrix, middle)
    start = np.array([s.start for s in box])
    axes = [torch.arange(n, dtype=torch.float32) - h for n, h in zip(patch, half.tolist(), strict=True)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    position = grid @ torch.tensor(matrix.T, dtype=torch.float32) + torch.tensor(middle, dtype=torch.float32)
    extent = torch.tensor(pair.image.shape, dtype=torch.float32)
    inside = ((position >= -0.5) & (position <= extent - 0.5)).all(-1)
    size = torch.tensor([s.stop - s.start for s in box], dtype=torch.float32)
    # grid_sample wants x, y, z in -1..1 over the outer edges of the voxels (align_corners=False).
    normal = ((position - torch.tensor(start, dtype=torch.float32)) * 2 + 1) / size - 1
    normal = normal.flip(-1)[None]
    image = torch.from_numpy(rescale(pair.image[box], pair.low, pair.high))[None, None]
    resampled = functional.grid_sample(image, normal, "bilinear", "reflection", align_corners=False)[0, 0]
    labels = _nearest(pair.labels[box], normal) * inside
    known = inside if pair.known is None else inside & (_nearest(pair.known[box], normal) > 0)
    centres = (pair.objects.centres - middle) @ inverse.T + half
    zoom = abs(np.linalg.det(inverse)) ** (1 / ndim)
    return RawPatch(resampled, labels.long(), centres, pair.objects.radii * zoom, known)


def _nearest(values: np.ndarray, normal: torch.Tensor) -> torch.Tensor:
    """Values at the nearest voxels, float32 (*spatial), 0 outside; exact for integers up to 2^24."""
    stack = torch.from_numpy(values.astype(np.float32))[None, None]
    return functional.grid_sample(stack, normal, "nearest", "zeros", align_corners=False)[0, 0]


def _source_box(
    shape: tuple[int, ...], patch: tuple[int, ...], matrix: np.ndarray, middle: np.ndarray
) -> tuple[slice, ...]:
    """The part of the source that the patch touches; a patch that leaves the image keeps the whole axis.

    Reflection must happen at the image's own edge, so an axis is cut only where the patch stays inside.
    """
    reach = np.abs(matrix) @ (np.array(patch) / 2) + 2
    box = []
    for size, centre, r in zip(shape, middle, reach, strict=True):
        low, high = int(np.floor(centre - r)), int(np.ceil(centre + r)) + 1
        box.append(slice(low, high) if low >= 0 and high <= size else slice(0, size))
    return tuple(box)
