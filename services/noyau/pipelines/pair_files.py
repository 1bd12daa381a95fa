"""An image with its labels as one file or one OME-Zarr, complete or not at all."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.geometry import VoxelSize
from noyau.sources.convert import convert


def save_npz(path: Path, image: np.ndarray, labels: np.ndarray, voxel_size: VoxelSize | None) -> None:
    """Writes keys `image`, `labels` (y/x where there is one plane) and, if known, `voxel_size` (micrometres z/y/x)."""
    flat = image.shape[0] == 1
    pixels, numbers = (image[0], labels[0]) if flat else (image, labels)
    known = {} if voxel_size is None else {"voxel_size": np.array(tuple(voxel_size))}
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, image=pixels, labels=numbers, **known)  # type: ignore[arg-type]
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def save_zarr(
    target: str,
    image: np.ndarray,
    labels: np.ndarray,
    voxel_size: VoxelSize | None,
    *,
    group: str,
    ngff: str,
    overwrite: bool,
    access: AccessPolicy,
) -> None:
    """Writes an OME-Zarr with the labels as label group `group`.

    Goes through an npz in a private folder, so that there is one writer of OME-Zarr images only.
    """
    with tempfile.TemporaryDirectory(prefix="noyau-pair-") as folder:
        pair = Path(folder) / "pair.npz"
        save_npz(pair, image, labels, voxel_size)
        # The private folder is ours; the target was checked against the caller's policy before.
        everything = AccessPolicy.everything(access.s3_endpoint)
        convert(
            str(pair), target, voxel_size=voxel_size, ngff=ngff, overwrite=overwrite, labels=group, access=everything
        )


def replace_file(path: Path, content: bytes) -> None:
    """Writes a small file beside its place and moves it there."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
