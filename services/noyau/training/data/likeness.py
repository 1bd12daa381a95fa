"""Near copies: images that show the same thing with another gain, offset, orientation or a slightly smaller view.

Two steps. A coarse one compares every image, in 8 orientations and 49 slightly smaller views, with every other, as
pictures of 16 x 16. A fine one looks at the few that are alike: it aligns the view and compares structures of a few
percent of the picture's width, which unrelated images do not share, even of sparse scenes (one bright nucleus in the
middle) that look alike from afar. On 613 real images and 183 made copies the fine correlation was at least 0.945 for
copies and at most 0.92 for different images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage as ndi
from torch.nn import functional

from noyau.training.data.outline import shrink, standardised

COARSE = 0.72
FINE = 0.935
_COARSE_SIZE, _FINE_SIZE = 16, 48
_FINE_STRUCTURE = 2.0
_HOPELESS = 0.5
_CANDIDATES = 3
# Parts of an axis that a copy may show: all of it, or 6 or 12 % less from either side or both.
_VIEWS = ((0.0, 1.0), *((a, a + 1 - w) for w in (0.06, 0.12) for a in (0.0, w / 2, w)))
_BOXES = tuple((*y, *x) for y in _VIEWS for x in _VIEWS)
_ORIENTATIONS = 8
_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Likeness:
    """Two images of the list that are near copies, and the correlation of their fine structure."""

    first: int
    second: int
    score: float


def near_copies(
    pictures: Sequence[np.ndarray], apart: Callable[[int, int], bool], check: Callable[[], None] = lambda: None
) -> list[Likeness]:
    """Pairs of near copies, best first.

    Args:
        pictures: of `outline_of`, one per image.
        apart: whether two of them should be compared.
        check: called often; raises to stop.
    """
    if len(pictures) < 2:
        return []
    references = standardised(shrink(np.stack(pictures), _COARSE_SIZE).reshape(len(pictures), -1))
    found: dict[tuple[int, int], float] = {}
    for index, picture in enumerate(pictures):
        check()
        scores = standardised(_variants(picture)) @ references.T
        best = scores.max(0)
        alike = [int(j) for j in np.flatnonzero(best > COARSE)]
        allowed = sorted((j for j in alike if j != index and apart(index, j)), key=lambda j: -best[j])
        for j in allowed[:_CANDIDATES]:
            key = (min(index, j), max(index, j))
            score = _aligned(picture, pictures[j], int(scores[:, j].argmax()))
            found[key] = max(found.get(key, 0.0), score)
    copies = [Likeness(i, j, round(score, 4)) for (i, j), score in found.items() if score > FINE]
    return sorted(copies, key=lambda c: (-c.score, c.first, c.second))


def _variants(picture: np.ndarray) -> np.ndarray:
    """All orientations of all views, one per row: row `orientation * views + view`."""
    size = len(picture)
    views = [
        shrink(picture[round(a * size) : round(b * size), round(c * size) : round(d * size)], _COARSE_SIZE)
        for a, b, c, d in _BOXES
    ]
    stack = np.stack(views)
    return np.concatenate([_oriented(stack, k) for k in range(_ORIENTATIONS)]).reshape(_ORIENTATIONS * len(views), -1)


def _oriented(pictures: np.ndarray, orientation: int) -> np.ndarray:
    """One of the 8 ways to lay a picture down; bit 0 transposes, bits 1 and 2 flip y and x."""
    turned = pictures.swapaxes(-1, -2) if orientation & 1 else pictures
    turned = turned[..., ::-1, :] if orientation & 2 else turned
    return turned[..., ::-1] if orientation & 4 else turned


def _laid_back(picture: np.ndarray, orientation: int) -> np.ndarray:
    """The inverse of `_oriented`."""
    turned = picture[..., ::-1] if orientation & 4 else picture
    turned = turned[..., ::-1, :] if orientation & 2 else turned
    return turned.swapaxes(-1, -2) if orientation & 1 else turned


def _aligned(picture: np.ndarray, other: np.ndarray, variant: int) -> float:
    """Correlation of the fine structure, after moving the four edges of the view to where it is best."""
    orientation, view = divmod(variant, len(_BOXES))
    target = _fine(shrink(_laid_back(other, orientation), _FINE_SIZE))
    source = torch.from_numpy(picture.astype(np.float32))[None, None]

    def score(box: Sequence[float]) -> float:
        return float(_fine(_view(source, box)) @ target)

    box = list(_BOXES[view])
    best = score(box)
    if best < _HOPELESS:
        return best
    for step in (0.03, 0.015, 0.0075):
        for edge in range(4):
            for move in (-step, step):
                best = _pushed(box, edge, move, best, score)
    return best


def _pushed(box: list[float], edge: int, move: float, best: float, score: Callable[[Sequence[float]], float]) -> float:
    """Moves an edge in one direction as long as that helps; changes `box` and returns the new best."""
    while -0.02 <= box[edge] + move <= 1.02:
        tried = [*box]
        tried[edge] += move
        value = score(tried)
        if value <= best:
            break
        best, box[edge] = value, tried[edge]
    return best


def _view(picture: torch.Tensor, box: Sequence[float]) -> np.ndarray:
    """A part of a picture (y from, y to, x from, x to as shares), 48 x 48."""
    middles = (torch.arange(_FINE_SIZE, dtype=torch.float32) + 0.5) / _FINE_SIZE
    y, x = middles * (box[1] - box[0]) + box[0], middles * (box[3] - box[2]) + box[2]
    grid = torch.stack(torch.meshgrid(y * 2 - 1, x * 2 - 1, indexing="ij"), -1).flip(-1)[None]
    return functional.grid_sample(picture, grid, "bilinear", "border", align_corners=False)[0, 0].numpy()


def _fine(picture: np.ndarray) -> np.ndarray:
    """The picture without its coarse structure, as a unit vector."""
    return standardised((picture - ndi.gaussian_filter(picture, _FINE_STRUCTURE)).ravel())
