"""A picture of a synthetic image: what the network will see and what it is told is there."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from noyau.training.synthetic.volume import SyntheticVolume

OUTLINE = (255, 190, 0)
SMALLEST_SIDE = 320


def draw_preview(volume: SyntheticVolume) -> bytes:
    """Draws a synthetic image as PNG.

    Two panels for 2D (image, outlines); four for 3D: maximum along z, the plane with most nucleus voxels without and
    with outlines, and the maximum along y with z stretched to the right proportion.
    """
    grey = _grey(volume.image)
    if volume.image.shape[0] == 1:
        panels = [_rgb(grey[0]), _outlined(grey[0], volume.labels[0])]
    else:
        plane = int((volume.labels > 0).sum(axis=(1, 2)).argmax())
        side = _stretched(grey.max(axis=1), volume.voxel_size.z / volume.voxel_size.x)
        panels = [_rgb(grey.max(axis=0)), _rgb(grey[plane]), _outlined(grey[plane], volume.labels[plane]), _rgb(side)]
    height = max(p.shape[0] for p in panels)
    panels = [np.pad(p, ((0, height - p.shape[0]), (0, 2), (0, 0))) for p in panels]
    picture = Image.fromarray(np.concatenate(panels, axis=1))
    zoom = max(1, SMALLEST_SIDE // height)
    picture = picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)
    out = BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()


def _grey(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image, [1, 99.8])
    scaled = (image.astype(np.float32) - low) / max(float(high - low), 1e-6)
    return np.asarray(np.clip(scaled, 0, 1) ** 0.7 * 255).astype(np.uint8)


def _rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def _outlined(grey: np.ndarray, labels: np.ndarray) -> np.ndarray:
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    picture = _rgb(grey)
    picture[edge] = OUTLINE
    return picture


def _stretched(plane: np.ndarray, factor: float) -> np.ndarray:
    rows = np.arange(max(1, round(plane.shape[0] * factor)))
    return np.asarray(plane[np.minimum((rows / factor).astype(int), plane.shape[0] - 1)])
