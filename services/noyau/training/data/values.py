"""What a dataset is made of, before and after it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from noyau.domain.geometry import VoxelSize
from noyau.training.dataset import Kind

OnBad = Literal["stop", "skip"]
Severity = Literal["error", "warning", "note"]

# A pair is held in memory as a whole; larger images are cut into pairs before they are trained on.
LARGEST_PAIR_VOXELS = 1_000_000_000


@dataclass(frozen=True)
class Problem:
    """Something that a user should know of a dataset.

    Attributes:
        pair: name of the pair; empty where it concerns the whole dataset.
        kind: short name for scripts, e.g. `shape`, `binary`, `leak`.
        severity: a pair with an `error` is not trained on, a `warning` may spoil figures, a `note` says what was
            assumed.
        cause, remedy: one sentence each, as in `NoyauError`.
        others: names of further pairs that are part of it.
    """

    pair: str
    kind: str
    severity: Severity
    cause: str
    remedy: str = ""
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.cause} {self.remedy}".strip()


@dataclass(frozen=True)
class Pixels:
    """One array as a file holds it.

    Attributes:
        values: y/x or z/y/x, with channels last where there are several.
        voxel_size: micrometres, None where the file does not say.
        channels: whether the last axis holds channels.
    """

    values: np.ndarray
    voxel_size: VoxelSize | None = None
    channels: bool = False


@dataclass(frozen=True)
class Place:
    """Where a pair lives; nothing of it has been read.

    Attributes:
        name: `folder/stem`, unique in its dataset.
        folder: folder that may hold a `dataset.json` about the pair; empty where there is none.
        image: path or URI of the image (or of the npz that holds both).
        labels: path of the labels, points or boxes; empty where they are in the same file.
        time: time point of an OME-Zarr.
    """

    name: str
    folder: str
    image: str
    labels: str = ""
    time: int | None = None

    @property
    def stem(self) -> str:
        """The name without its folder, which patterns are compared with."""
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Sample:
    """What the files of a pair hold, not yet checked.

    Attributes:
        image: intensities, see `Pixels`.
        labels: instance labels, None where there are points, boxes or nothing.
        points: centres in voxels, shape (n, ndim).
        boxes: first and last corner in voxels (half open), shape (n, 2 * ndim): z0, y0, x0, z1, y1, x1.
        ignore: value of `labels` that means "unknown", from the file itself.
        notes: kinds and causes of what was assumed while reading.
    """

    image: Pixels
    labels: Pixels | None = None
    points: np.ndarray | None = None
    boxes: np.ndarray | None = None
    ignore: int | None = None
    notes: tuple[tuple[str, str], ...] = ()


def _nothing_reads(path: str, what: str) -> Pixels:
    from noyau.domain.errors import InvalidInput

    raise InvalidInput(f"'{path}' cannot be read here: there is no reader of {what}.")


@dataclass(frozen=True)
class Readers:
    """Readers that other rooms supply; without them only npz files are read.

    Attributes:
        tiff: path -> pixels; refuses more voxels than it is told.
        zarr: URI, label group (None reads no labels), time point -> image and labels.
        members: URI -> images and their numbers of time points; a plate has many, an image is its own.
    """

    tiff: Callable[[str, int], Pixels] = field(default=lambda path, limit: _nothing_reads(path, "TIFF"))
    zarr: Callable[[str, str | None, int], tuple[Pixels, Pixels | None]] = field(
        default=lambda uri, labels, time: (_nothing_reads(uri, "OME-Zarr"), None)
    )
    members: Callable[[str], Sequence[tuple[str, int]]] = field(default=lambda uri: ((uri, 1),))


@dataclass(frozen=True)
class Findings:
    """What a pair was found to be when it was checked.

    Attributes:
        shape: voxels of the image, without channels.
        dtype: of the image.
        kind: of the annotation.
        voxel_size: micrometres z/y/x, None where nobody says.
        objects: labelled nuclei, or points, or boxes.
        fragments: objects much smaller than the others.
        split_objects: labels whose voxels do not hang together.
        median_size: voxels of the median object; 0 for points.
        foreground: share of the known voxels that belong to objects.
        known: share of voxels that the annotation covers.
        image_digest, labels_digest: SHA-256 over shape, type and values.
        sizes: voxels of each object; empty for points.
        outline: small pictures by which pairs are compared, see `outline_of`.
    """

    shape: tuple[int, ...]
    dtype: str
    kind: Kind
    voxel_size: tuple[float, float, float] | None
    objects: int
    fragments: int
    split_objects: int
    median_size: float
    foreground: float
    known: float
    image_digest: str
    labels_digest: str
    sizes: np.ndarray = field(compare=False, repr=False)
    outline: tuple[np.ndarray, np.ndarray] = field(compare=False, repr=False)

    def record(self) -> Mapping[str, Any]:
        """JSON-ready, without sizes and pictures."""
        values = {k: v for k, v in self.__dict__.items() if k not in ("outline", "sizes")}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
