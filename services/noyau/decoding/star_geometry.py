"""Star-convex geometry: distances along rays, suppression of overlapping shapes, and filled shapes.

The work is done by the compiled code of the optional package `stardist` (Schmidt et al. 2018, arXiv:1806.03535;
Weigert et al. 2020, arXiv:1908.03636), which needs no TensorFlow for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noyau.domain.errors import FailedPrecondition


def require() -> None:
    """Refuses to go on without the optional package.

    Raises:
        FailedPrecondition: it is not installed.
    """
    from importlib.util import find_spec

    if find_spec("stardist") is None:
        raise FailedPrecondition(
            "The star-convex decoder needs the package stardist, which is not installed.",
            "Install noyau[stardist], or take a model with another decoder.",
        )


def rays(count: int, spacing: tuple[float, float, float]) -> Any:
    """Directions spread over the sphere along a golden spiral, denser along short axes of the voxels.

    Args:
        count: of rays.
        spacing: relative lengths of a voxel's edges, z/y/x.
    """
    require()
    from stardist.rays3d import Rays_GoldenSpiral

    return Rays_GoldenSpiral(count, anisotropy=spacing)


def distances(labels: np.ndarray, count: int, spacing: tuple[float, ...]) -> np.ndarray:
    """Distance from each voxel to the end of its object along each ray.

    Args:
        labels: int32 (*spatial), 2D or 3D.
        count: of rays.
        spacing: as for `rays`; ignored in 2D, where rays lie at equal angles.

    Returns:
        Voxels, float32 (count, *spatial), 0 outside objects.
    """
    require()
    from stardist.geometry import star_dist, star_dist3D

    whole = np.ascontiguousarray(labels, np.int32)
    if labels.ndim == 2:
        # Names of 16 bits are what the compiled code takes.
        _, names = np.unique(whole, return_inverse=True)
        first = 0 if (whole == 0).any() else 1
        found = star_dist((names.reshape(whole.shape) + first).astype(np.uint16), n_rays=count)
    else:
        z, y, x = spacing
        found = star_dist3D(whole, rays(count, (z, y, x)))
    return np.moveaxis(np.asarray(found, np.float32), -1, 0)


def polyhedra(
    lengths: np.ndarray, scores: np.ndarray, points: np.ndarray, spacing: tuple[float, float, float], overlap: float,
    shape: tuple[int, int, int],
) -> np.ndarray:  # fmt: skip
    """Labels int32 (Z, Y, X) of the polyhedra that survive: the better one wins where two share too much.

    Args:
        lengths: of the rays, positive, float32 (n, rays).
        scores: of the candidates, float32 (n,).
        points: z/y/x of the candidates, (n, 3).
        spacing: as for `rays`.
        overlap: share of the smaller of two that they may have in common.
        shape: of the labels.
    """
    require()
    from stardist.geometry import polyhedron_to_label
    from stardist.nms import non_maximum_suppression_3d_sparse

    directions, scores = rays(lengths.shape[1], spacing), _without_ties(scores)
    places, _, kept, index = non_maximum_suppression_3d_sparse(
        lengths, scores, points, directions, nms_thresh=overlap, verbose=False
    )
    # Drawn from the best to the worst: a voxel belongs to the first that covers it.
    labels = polyhedron_to_label(kept, places, directions, shape, prob=scores[index], verbose=False)
    return np.asarray(labels, np.int32)


def polygons(
    lengths: np.ndarray, scores: np.ndarray, points: np.ndarray, overlap: float, shape: tuple[int, int]
) -> np.ndarray:
    """The same for polygons, labels int32 (Y, X); `points` y/x."""
    require()
    from stardist.geometry import polygons_to_label
    from stardist.nms import non_maximum_suppression_sparse

    scores = _without_ties(scores)
    places, kept_scores, kept, _ = non_maximum_suppression_sparse(
        lengths, scores, points, nms_thresh=overlap, verbose=False
    )
    return np.asarray(polygons_to_label(kept, places, shape, prob=kept_scores), np.int32)


def _without_ties(scores: np.ndarray) -> np.ndarray:
    """Scores in the same order, equal ones in the order of their candidates: so neighbouring windows agree."""
    rank = np.empty(len(scores), np.float32)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(scores), 0, -1, dtype=np.float32)
    return rank / np.float32(len(scores) + 1)
