"""Pairs on the grid of a model: images of another voxel size are resampled before they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage as ndi

from noyau.domain.intensity import percentiles
from noyau.domain.model import Normalisation
from noyau.training.dataset import Pair
from noyau.training.targets import Objects, find_objects

# Augmentation covers smaller differences of size.
_NEAR = 1.15


def fit_pair(pair: Pair, voxel_size: Sequence[float] | None, params: Normalisation, fragment: int = 0) -> Pair:
    """The pair as a configuration wants it.

    Args:
        pair: as it was read.
        voxel_size: of the model, micrometres z/y/x; None for one that works in pixels.
        params: percentiles of the normalisation.
        fragment: objects of fewer voxels (of the model) do not count.
    """
    resampled = regrid(pair, factors_between(pair.voxel_size, voxel_size, pair.image.ndim))
    low, high = percentiles(pair.image, params)
    objects = find_objects(resampled.labels, fragment) if pair.kind == "labels" else resampled.objects
    grid = pair.voxel_size if voxel_size is None else (voxel_size[0], voxel_size[1], voxel_size[2])
    return replace(resampled, low=low, high=high, objects=objects, voxel_size=grid)


def factors_between(of_pair: Sequence[float] | None, of_model: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    """Voxels of the model's grid per voxel of the pair, per axis; all 1 where one of the two has no micrometres.

    Args:
        of_pair, of_model: voxel sizes, micrometres z/y/x.
        ndim: 2 drops z.
    """
    if of_pair is None or of_model is None:
        return (1.0,) * ndim
    factors = tuple(a / b for a, b in zip(of_pair, of_model, strict=True))[3 - ndim :]
    return tuple(1.0 if 1 / _NEAR < factor < _NEAR else factor for factor in factors)


def regrid(pair: Pair, factors: Sequence[float]) -> Pair:
    """The pair resampled: linear for the image, nearest for labels and for what is known.

    Args:
        pair: to resample.
        factors: new voxels per old one, per axis; the pair itself comes back where all are 1.
    """
    if all(factor == 1.0 for factor in factors):
        return pair
    shape = tuple(max(1, round(n * f)) for n, f in zip(pair.image.shape, factors, strict=True))
    labels = _nearest(pair.labels, shape)
    known = None if pair.known is None else _nearest(pair.known, shape)
    objects = find_objects(labels) if pair.kind == "labels" else _moved(pair.objects, pair.image.shape, shape)
    return replace(pair, image=_linear(pair.image, shape), labels=labels, known=known, objects=objects)


def _moved(objects: Objects, old: tuple[int, ...], new: tuple[int, ...]) -> Objects:
    """Exact centres and likely sizes of points and boxes in the new voxels."""
    ratio = np.array(new) / np.array(old)
    centres = (objects.centres + 0.5) * ratio - 0.5
    return replace(objects, centres=centres, radii=objects.radii * float(np.prod(ratio)) ** (1 / len(old)))


def _nearest(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values at the nearest voxel centres."""
    at = [np.minimum((np.arange(m) + 0.5) * n / m, n - 1).astype(int) for n, m in zip(values.shape, shape, strict=True)]
    taken: np.ndarray = values[np.ix_(*at)]
    return taken


def _linear(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation, float32; along axes that become much coarser, means over voxels come first."""
    smooth = values.astype(np.float32)
    for axis, (old, new) in enumerate(zip(values.shape, shape, strict=True)):
        if old / new > 1.5:
            smooth = ndi.uniform_filter1d(smooth, round(old / new), axis=axis, mode="reflect")
    for axis, (old, new) in enumerate(zip(values.shape, shape, strict=True)):
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, old - 1)
        share = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
        smooth = smooth.take(low, axis) * (1 - share) + smooth.take(high, axis) * share
    return smooth
