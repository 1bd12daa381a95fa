"""From what the files hold to what is trained on: every rule that a pair must obey, in one place.

Checking a dataset and loading its pairs go through the same function, so that nothing is trained on that was not
checked in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cc3d
import numpy as np
from scipy import ndimage as ndi

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.training.data.facts import Facts
from noyau.training.data.values import Pixels, Sample
from noyau.training.dataset import Kind
from noyau.training.targets import Objects
from noyau.training.weak_labels import estimate_radius, from_boxes, from_points

UNKNOWN = -1
_COLOURS = (2, 3, 4)
# A mask of one value is one nucleus when its largest piece holds nearly all of it.
_ONE_PIECE = 0.9
_LARGEST_ID = 2**31 - 1


@dataclass(frozen=True)
class Prepared:
    """A pair that can be trained on.

    Attributes:
        image: z/y/x or y/x, finite, as stored.
        labels: ids from 1, uint16 or int32, 0 is background (and whatever is not known).
        known: bool, None where all is.
        kind: of the annotation.
        voxel_size: micrometres z/y/x.
        objects: exact centres and likely sizes of points and boxes; None for labels.
        notes: kind and cause of what was assumed.
    """

    image: np.ndarray
    labels: np.ndarray
    known: np.ndarray | None
    kind: Kind
    voxel_size: VoxelSize | None
    objects: Objects | None = None
    notes: tuple[tuple[str, str], ...] = field(default=())


def prepare(sample: Sample, name: str, ndim: int, facts: Facts, labelled: bool = True) -> Prepared:
    """Checks a sample and brings it into shape.

    Args:
        sample: as read.
        name: of the pair, for messages.
        ndim: 2 or 3.
        facts: what the user says of it.
        labelled: False takes the image alone, for self-supervised training, and leaves the labels empty.

    Raises:
        InvalidInput: the pair cannot be used; the cause names it and says why.
    """
    notes = list(sample.notes)
    image = _image(sample.image, name, ndim, notes)
    size = _voxel_size(sample, facts, name)
    if not labelled:
        return Prepared(image, np.zeros(image.shape, np.uint16), None, "labels", size, None, tuple(notes))
    if sample.labels is None:
        return _weak(image, sample, name, facts, size, notes)
    labels, known = _labels(sample, image, name, facts, notes)
    marks = _marks(sample.image, labels, facts, notes)
    if marks is not None:
        return _weak(image, marks, name, facts, size, notes)
    return Prepared(image, labels, known, "labels", size, None, tuple(notes))


def _image(pixels: Pixels, name: str, ndim: int, notes: list[tuple[str, str]]) -> np.ndarray:
    values = pixels.values
    if values.dtype.kind not in "biuf":
        raise InvalidInput(f"The image of '{name}' holds values of type {values.dtype}, which are no intensities.")
    if 0 in values.shape:
        raise InvalidInput(f"The image of '{name}' is empty: its shape is {values.shape}.")
    coloured = pixels.channels or (values.ndim == ndim + 1 and values.shape[-1] in _COLOURS)
    if coloured and values.ndim > 2 and values.ndim - 1 >= ndim:
        notes.append(("colours", f"The image of '{name}' has {values.shape[-1]} channels; the brightest one counts."))
        values = values.max(axis=-1)
    while values.ndim > ndim and values.shape[0] == 1:
        values = values[0]
    if values.ndim != ndim:
        raise InvalidInput(
            f"The image of '{name}' has the shape {values.shape}, but the model has {ndim} dimensions.",
            "Cut volumes into planes for a 2D model, or train a 3D one." if values.ndim > ndim else "Train a 2D model.",
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise InvalidInput(f"The image of '{name}' holds NaN or infinity, first at voxel {where}.")
    if values.min() == values.max():
        raise InvalidInput(f"The image of '{name}' is empty: every voxel has the value {values.flat[0]}.")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _voxel_size(sample: Sample, facts: Facts, name: str) -> VoxelSize | None:
    own = sample.image.voxel_size
    of_labels = None if sample.labels is None else sample.labels.voxel_size
    if own is not None and of_labels is not None and not np.allclose(tuple(own), tuple(of_labels), rtol=0.02):
        raise InvalidInput(
            f"The image of '{name}' has voxels of {_text(own)} µm, its labels of {_text(of_labels)} µm.",
            "Image and labels must lie on one grid.",
        )
    return own or of_labels or (None if facts.voxel_size is None else VoxelSize(*facts.voxel_size))


def _text(size: VoxelSize) -> str:
    return " x ".join(f"{v:g}" for v in size)


def _labels(
    sample: Sample, image: np.ndarray, name: str, facts: Facts, notes: list[tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray | None]:
    if sample.labels is None:
        raise InvalidInput(f"The pair '{name}' has no labels.")
    values = _label_values(sample.labels, image, name)
    ignore = {UNKNOWN} | {v for v in (sample.ignore, facts.ignore) if v is not None}
    unknown = np.isin(values, [v for v in sorted(ignore) if v in _range(values.dtype)])
    if unknown.all():
        raise InvalidInput(f"All labels of '{name}' are ignored: nothing of it is known.", "Label a part of it.")
    values = np.where(unknown, 0, values).astype(values.dtype, copy=False)
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0:
        raise InvalidInput(
            f"The labels of '{name}' hold the negative value {lowest}.", f"Only {UNKNOWN} is allowed: it means unknown."
        )
    if highest > _LARGEST_ID:
        raise InvalidInput(f"The labels of '{name}' hold the value {highest}, which is no label.", "Renumber them.")
    labels = _separated(_numbered(values, highest), name, facts, notes)
    if not unknown.any():
        return labels, None
    # The outline of a nucleus beside an unlabelled area is not known either.
    return labels, ~ndi.binary_dilation(unknown, ndi.generate_binary_structure(unknown.ndim, 1))


def _label_values(pixels: Pixels, image: np.ndarray, name: str) -> np.ndarray:
    values = pixels.values
    if values.shape[:-1] == image.shape and (pixels.channels or values.shape[-1] in _COLOURS):
        raise InvalidInput(
            f"The labels of '{name}' are a colour picture of shape {values.shape}.",
            "Store one number per nucleus: a picture of one channel.",
        )
    while values.ndim > image.ndim and values.shape[0] == 1:
        values = values[0]
    if values.shape != image.shape:
        swapped = sorted(values.shape) == sorted(image.shape)
        raise InvalidInput(
            f"The pair '{name}' has an image of shape {image.shape} and labels of shape {values.shape}.",
            "Their axes are in another order: transpose the labels." if swapped else "They must be of one shape.",
        )
    if values.dtype.kind == "f":
        raise InvalidInput(
            f"The labels of '{name}' are {values.dtype} numbers, not labels.",
            "Store whole numbers, one per nucleus, e.g. as uint16.",
        )
    if values.dtype.kind not in "biu":
        raise InvalidInput(f"The labels of '{name}' hold values of type {values.dtype}.")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


def _range(dtype: np.dtype) -> range:
    info = np.iinfo(dtype)
    return range(int(info.min), int(info.max) + 1)


def _numbered(values: np.ndarray, highest: int) -> np.ndarray:
    """Labels as uint16 or int32; large ids become 1..n in their order, since a table is made of them."""
    if highest < 2**16:
        return values.astype(np.uint16)
    ids, inverse = np.unique(values, return_inverse=True)
    rank = inverse.reshape(values.shape) + (0 if ids[0] == 0 else 1)
    return rank.astype(np.uint16 if len(ids) < 2**16 else np.int32)


def _separated(labels: np.ndarray, name: str, facts: Facts, notes: list[tuple[str, str]]) -> np.ndarray:
    """Refuses a mask that does not tell nuclei apart, or takes it apart where the user asks for that."""
    value = int(labels.max())
    if value == 0 or int(np.where(labels == 0, value, labels).min()) != value:
        return labels
    pieces, count = cc3d.connected_components(
        (labels > 0).astype(np.uint8), connectivity=8 if labels.ndim == 2 else 26, return_N=True
    )
    sizes = np.bincount(pieces.ravel())[1:]
    if value != 255 and sizes.max() >= _ONE_PIECE * sizes.sum():
        return labels
    if not facts.components:
        raise InvalidInput(
            f"The labels of '{name}' are a mask of the values 0 and {value} ({count} separate areas), not nuclei.",
            "Give every nucleus a number of its own, or take connected areas for nuclei with --components.",
        )
    notes.append(("components", f"The mask of '{name}' was cut into {count} connected areas."))
    return pieces.astype(np.uint16 if count < 2**16 else np.int32)


def _marks(image: Pixels, labels: np.ndarray, facts: Facts, notes: list[tuple[str, str]]) -> Sample | None:
    """Points or boxes instead of labels that are, or are said to be, nothing more than that."""
    counts = np.bincount(labels.ravel())[1:]
    present = np.flatnonzero(counts) + 1
    kind = facts.kind or ("points" if len(present) and counts.max() == 1 else "labels")
    if len(present) == 0 or kind == "labels":
        return None
    if facts.kind is None:
        notes.append(("points", f"All {len(present)} labels are single voxels: they are taken for centres of nuclei."))
    if kind == "boxes":
        found = [part for part in ndi.find_objects(labels) if part is not None]
        boxes = np.array([[*(p.start for p in part), *(p.stop for p in part)] for part in found])
        return Sample(image, boxes=boxes)
    points = np.array(ndi.center_of_mass(labels > 0, labels, present)).reshape(-1, labels.ndim)
    return Sample(image, points=points)


def _weak(
    image: np.ndarray, sample: Sample, name: str, facts: Facts, size: VoxelSize | None, notes: list[tuple[str, str]]
) -> Prepared:
    if sample.points is not None:
        points = _annotations(sample.points, image.shape, 1, name, "points")
        spacing = (1.0,) * image.ndim if size is None else tuple(size)[3 - image.ndim :]
        radius = facts.radius or estimate_radius(image, points, spacing)
        if facts.radius is None:
            notes.append(("radius", f"The nuclei of '{name}' are taken for {radius:.1f} voxels in radius."))
        radii = [radius * spacing[-1] / s for s in spacing]
        weak = from_points(points, image.shape, radii, complete=facts.complete)
        return Prepared(image, weak.labels, weak.known, "points", size, weak.objects, tuple(notes))
    if sample.boxes is not None:
        boxes = _annotations(sample.boxes, image.shape, 2, name, "boxes")
        weak = from_boxes(boxes, image.shape)
        return Prepared(image, weak.labels, weak.known, "boxes", size, weak.objects, tuple(notes))
    raise InvalidInput(f"The pair '{name}' has no labels.", "Add labels, points or boxes.")


def _annotations(values: np.ndarray, shape: Sequence[int], corners: int, name: str, what: str) -> np.ndarray:
    """Points or boxes as float64, checked against the image and without repetitions."""
    ndim = len(shape)
    if values.ndim != 2 or values.shape[1] != corners * ndim or values.dtype.kind not in "iuf":
        raise InvalidInput(
            f"The {what} of '{name}' have the shape {values.shape}.", f"They need {corners * ndim} numbers per nucleus."
        )
    if len(values) == 0:
        raise InvalidInput(f"The pair '{name}' has no {what}.")
    table = np.unique(values.astype(np.float64), axis=0)
    low, high = table[:, :ndim], table[:, -ndim:]
    if not np.isfinite(table).all() or (low < -1).any() or (high > np.array(shape) + 1).any():
        raise InvalidInput(f"The pair '{name}' has {what} outside of its image of shape {tuple(shape)}.")
    if corners == 2 and (high - low < 1).any():
        raise InvalidInput(f"The pair '{name}' has boxes without extent.", "Write z0, y0, x0, z1, y1, x1, half open.")
    return table
