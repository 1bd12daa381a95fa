"""Labelled crops as an annotator would make them, from npz pairs: planes of volumes for 2D models, none too large."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.training.dataset import find_files, split_files

# Largest crop, voxels z/y/x: what one can label in an hour.
LARGEST = (48, 128, 128)
LARGEST_PLANE = (192, 192)
# Planes taken of each volume for a 2D model.
PLANES = 2
_TRIES = 24


@dataclass(frozen=True)
class Sample:
    """An image with its labels, (z, y, x) or (y, x); `specimen` is what images of one sample have in common."""

    name: str
    specimen: str
    image: np.ndarray
    labels: np.ndarray


def read_samples(
    data: Sequence[str], val: Sequence[str], ndim: int, seed: int, inverted: bool = False
) -> tuple[list[Sample], list[Sample]]:
    """(to take crops from, in random order; to measure on, by name).

    Args:
        data: files, folders or patterns.
        val: patterns of names to measure on.
        ndim: of the model; one less than that of the data takes planes.
        seed: of the order.
        inverted: exchange bright and dark.

    Raises:
        NotFound: there is no file.
        InvalidInput: the data has other dimensions.
    """
    train, held = split_files(find_files(data), val, 0)
    shuffled = [train[i] for i in np.random.default_rng(seed).permutation(len(train))]
    crops = [s for f in shuffled for s in _samples(f, ndim, 1)]
    images = [s for f in held for s in _samples(f, ndim, PLANES)]
    return ([_inverted(s) for s in crops], [_inverted(s) for s in images]) if inverted else (crops, images)


def spread(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in turns over the specimens, rich ones of each specimen first."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.specimen, []).append(sample)
    for group in groups.values():
        group.sort(key=lambda s: -len(np.unique(s.labels)))
    turns = max(map(len, groups.values()), default=0)
    return [group[turn] for turn in range(turns) for group in groups.values() if turn < len(group)]


def cut_crop(sample: Sample, seed: int) -> Sample:
    """Of some random crops the one with most nuclei; a small image stays whole."""
    largest = LARGEST if sample.image.ndim == 3 else LARGEST_PLANE
    size = [min(n, m) for n, m in zip(sample.image.shape, largest, strict=True)]
    room = [n - s + 1 for n, s in zip(sample.image.shape, size, strict=True)]
    rng = np.random.default_rng(seed)
    starts = [[int(rng.integers(r)) for r in room] for _ in range(_TRIES)]
    boxes = [tuple(slice(a, a + s) for a, s in zip(start, size, strict=True)) for start in starts]
    best = max(boxes, key=lambda box: len(np.unique(sample.labels[box])))
    return Sample(sample.name, sample.specimen, sample.image[best], sample.labels[best])


def _inverted(sample: Sample) -> Sample:
    """The sample with grey values mirrored within their range."""
    image = sample.image
    return replace(sample, image=image.max() - (image - image.min()))


def _samples(path: Path, ndim: int, planes: int) -> list[Sample]:
    with np.load(path, allow_pickle=False) as stored:
        image, labels = stored["image"], stored["labels"]
    specimen = re.split(r"[_\W]", path.stem)[0]
    if image.ndim == ndim == labels.ndim:
        return [Sample(path.stem, specimen, image, labels)]
    if image.ndim != 3 or ndim != 2 or image.shape != labels.shape:
        raise InvalidInput(f"'{path}' holds an image of shape {image.shape}, which a {ndim}D model cannot learn from.")
    return [Sample(f"{path.stem}_z{z:03d}", specimen, image[z], labels[z]) for z in _rich_planes(labels, planes)]


def _rich_planes(labels: np.ndarray, count: int) -> list[int]:
    """The planes with most nuclei, at least an eighth of the depth apart."""
    nuclei = [len(np.unique(plane)) for plane in labels]
    chosen: list[int] = []
    for z in sorted(range(len(nuclei)), key=lambda z: -nuclei[z]):
        if len(chosen) < count and all(abs(z - other) * 8 > len(nuclei) for other in chosen):
            chosen.append(z)
    return sorted(chosen)
