"""The job of the container tests: an image, what is asked of it, and the labels that come of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from noyau.domain.access import AccessPolicy
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import SegmentSpec
from noyau.sources import open_image, open_labels
from noyau.sources.convert import convert

TILE = (24, 64, 64)


def balls() -> np.ndarray:
    """Balls on a grid, touching, with noise: (z, y, x) uint16, three rows of six tiles."""
    random = np.random.default_rng(5)
    z, y, x = np.indices((24, 192, 384), dtype=np.float32)
    distance = np.sqrt(((z % 24 - 12) * 2.2) ** 2 + (y % 24 - 12) ** 2 + (x % 24 - 12) ** 2)
    found: np.ndarray = (100 + 800 * (distance < 6) + random.normal(0, 15, z.shape)).astype(np.uint16)
    return found


def converted(pixels: np.ndarray, folder: Path, uri: str, access: AccessPolicy | None = None) -> str:
    """Writes an OME-Zarr; `folder` holds a file on the way there."""
    np.savez(folder / "a.npz", image=pixels)
    access = access or AccessPolicy.everything()
    made = convert(str(folder / "a.npz"), uri, voxel_size=VoxelSize(1.75, 0.8, 0.8), access=access)
    return str(made.uri)


def labels_on(uri: str, access: AccessPolicy | None = None) -> np.ndarray:
    """All labels of the image, z/y/x."""
    access = access or AccessPolicy.everything()
    with open_image(ImageRef(uri), access=access) as source:
        shape = source.info.shape
    found: np.ndarray = open_labels(uri, access=access).read(Box.of(shape))
    return found


def spec(uri: str) -> SegmentSpec:
    """What is asked."""
    return SegmentSpec((ImageRef(uri),), model="nuclei-3d", tile=TILE)
