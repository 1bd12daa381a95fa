"""Pairs of image and labels from npz files, split by specimen or by a fixed hash."""

from __future__ import annotations

import fnmatch
import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from noyau.domain.errors import DamagedData, InvalidInput, NotFound
from noyau.domain.intensity import percentiles
from noyau.domain.model import Normalisation
from noyau.training.targets import Objects, find_objects

Kind = Literal["labels", "points", "boxes"]


@dataclass(frozen=True)
class Pair:
    """One training image with its labels; both stay in their stored types, patches are converted when cut.

    Attributes:
        name: `folder/stem` of the file.
        image: pixels z/y/x or y/x.
        labels: instance labels of the same shape, 0 is background.
        low, high: percentile values of the whole image.
        objects: ids, centres and sizes of the labelled nuclei.
        known: bool of the same shape, False where nobody said what is there; None where all is known.
        kind: what the annotator drew. The labels of `points` and `boxes` are guessed shapes (see `weak_labels`), and
            only what is certain about them is `known`.
        specimen: images of one specimen are never on both sides of a split; empty where nobody asked.
        voxel_size: micrometres z/y/x, None where nobody says.
    """

    name: str
    image: np.ndarray
    labels: np.ndarray
    low: float
    high: float
    objects: Objects
    known: np.ndarray | None = None
    kind: Kind = "labels"
    specimen: str = ""
    voxel_size: tuple[float, float, float] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every voxel is labelled by hand, so that whole images can be scored against it."""
        return self.kind == "labels" and self.known is None


def find_files(sources: Sequence[str]) -> list[Path]:
    """All npz files of folders, glob patterns and single paths, sorted and without repetition.

    Raises:
        NotFound: a source matches nothing.
    """
    found: set[Path] = set()
    for source in sources:
        path = Path(source)
        names = sorted(path.glob("*.npz")) if path.is_dir() else _matching(path)
        if not names:
            raise NotFound(f"No npz file is found at '{source}'.", "Give a folder, a file or a glob pattern.")
        found.update(names)
    return sorted(found)


def _matching(pattern: Path) -> list[Path]:
    """Files that an absolute or relative glob pattern, or a plain path, names."""
    return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))


def is_validation(path: Path, patterns: Sequence[str], percent: int) -> bool:
    """Whether a file belongs to the validation set: by a pattern of its stem, or by a hash of `folder/stem`.

    The hash depends on the name only, so the split stays the same whichever other files are present.
    """
    if any(fnmatch.fnmatchcase(path.stem, pattern) for pattern in patterns):
        return True
    digest = hashlib.sha256(f"{path.parent.name}/{path.stem}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < percent


def split_files(files: Sequence[Path], patterns: Sequence[str], percent: int) -> tuple[list[Path], list[Path]]:
    """(training files, validation files)."""
    train = [f for f in files if not is_validation(f, patterns, percent)]
    return train, [f for f in files if f not in set(train)]


def load_pair(path: Path, ndim: int, params: Normalisation, fragment: int = 0) -> Pair:
    """Reads one npz with `image` and `labels`. An image with a trailing channel axis is reduced to its maximum.

    Args:
        path: of the npz.
        ndim: dimensions of the model.
        params: of the normalisation.
        fragment: labelled objects of fewer voxels do not count.

    Raises:
        DamagedData: the file cannot be read or lacks an array.
        InvalidInput: shapes do not fit each other or the number of dimensions.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            image, labels = stored["image"], stored["labels"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DamagedData(
            f"The pair '{path}' cannot be read: {error}.", "It needs arrays `image`, `labels`."
        ) from error
    if image.ndim == ndim + 1 and image.shape[:ndim] == labels.shape:
        image = image.max(axis=-1)
    if image.shape != labels.shape or image.ndim != ndim:
        raise InvalidInput(
            f"The pair '{path}' has an image of shape {image.shape} and labels of shape {labels.shape}.",
            f"Both must have the same {ndim}-dimensional shape.",
        )
    low, high = percentiles(image, params)
    kept = labels.astype(np.uint16 if labels.max(initial=0) < 2**16 else np.int32)
    return Pair(f"{path.parent.name}/{path.stem}", image, kept, low, high, find_objects(kept, fragment))


def load_pairs(files: Sequence[Path], ndim: int, params: Normalisation, fragment: int = 0) -> list[Pair]:
    """Reads all files into memory, in order."""
    return [load_pair(path, ndim, params, fragment) for path in files]


def sampling_weights(pairs: Sequence[Pair]) -> np.ndarray:
    """Probability of each image to be drawn: crowded images more often, empty ones still sometimes."""
    weights = np.array([(len(p.objects.ids) + 1.0) ** 0.9 for p in pairs])
    shares: np.ndarray = weights / weights.sum()
    return shares
