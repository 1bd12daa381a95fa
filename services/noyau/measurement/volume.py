"""Measures the objects of an image, in memory or read piece by piece; both give the same numbers.

Every number of an object comes from its own bounding box and a margin of fixed width, or from the finished table
(distances). So nothing depends on how objects are grouped for reading.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box, Index3, VoxelSize, as_index
from noyau.measurement.boxes import blocks, boxes_in
from noyau.measurement.columns import columns_for, suffixes
from noyau.measurement.groups import Group, group_objects
from noyau.measurement.intensity import above_background, background_mask, gap_and_shell, intensity_columns
from noyau.measurement.neighbours import contacts, distances
from noyau.measurement.shape import position, shape_2d, shape_3d
from noyau.measurement.table import Table

Read = Callable[[Box], np.ndarray]
MAX_VOXELS = 1 << 23
PROGRESS_EVERY = 16
FEW_SAMPLES = 64


@dataclass(frozen=True)
class _Frame:
    """What stays the same for all objects of an image."""

    image_shape: Index3
    spacing: np.ndarray
    channels: dict[str, str]
    gap: tuple[int, ...]
    shell: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return 2 if self.image_shape[0] == 1 else 3

    @property
    def count(self) -> str:
        return "pixels" if self.ndim == 2 else "voxels"


def measure(
    labels: np.ndarray,
    channels: Mapping[str, np.ndarray],
    voxel_size: VoxelSize,
    *,
    origin: Sequence[int] = (0, 0, 0),
    image_shape: Index3 | None = None,
    ids: Collection[int] | None = None,
    threads: int = 1,
) -> Table:
    """Measures the objects of a label array.

    Args:
        labels: integers, shape (z, y, x) or (y, x); one plane means a 2D image and 2D columns.
        channels: intensities by channel name, each of the shape of `labels`.
        voxel_size: micrometres z/y/x.
        origin: image index of the first voxel when `labels` is a part of a larger image. Objects that are cut by the
            edge of the part, or lie closer to it than the background shell, come out as if the image ended there.
        image_shape: the whole image, z/y/x; None when `labels` is all of it.
        ids: labels to measure; None means all.
        threads: threads over objects; never changes a number.

    Raises:
        InvalidInput: shapes differ, or an id is not there.
    """
    labels = labels[None] if labels.ndim == 2 else labels
    arrays = {name: (a[None] if a.ndim == 2 else a) for name, a in channels.items()}
    for name, array in arrays.items():
        if array.shape != labels.shape:
            raise InvalidInput(f"Channel '{name}' {array.shape} and labels {labels.shape} differ in shape (z, y, x).")
    extent = Box.of(labels.shape).shifted(origin)
    objects = boxes_in(labels, origin)
    if ids is not None:
        missing = sorted(set(ids) - set(objects))
        if missing:
            raise InvalidInput(f"The labels hold no object {missing[0]}.")
        objects = {label: objects[label] for label in sorted(ids)}

    def reader(array: np.ndarray) -> Read:
        return lambda box: array[box.relative_to(extent.start).slices]

    readers = {name: reader(array) for name, array in arrays.items()}
    shape = as_index(extent.stop) if image_shape is None else image_shape
    return measure_volume(
        reader(labels), readers, objects, voxel_size, image_shape=shape, extent=extent, threads=threads
    )


def measure_volume(
    read_labels: Read,
    read_channels: Mapping[str, Read],
    objects: Mapping[int, Box],
    voxel_size: VoxelSize,
    *,
    image_shape: Index3,
    extent: Box | None = None,
    threads: int = 1,
    max_voxels: int = MAX_VOXELS,
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Measures objects of an image that is read piece by piece; memory is bounded by `max_voxels`.

    Args:
        read_labels: labels of a box inside the image, shape (z, y, x).
        read_channels: intensities of a box by channel name.
        objects: bounding box of every object (see `objects_of`).
        voxel_size: micrometres z/y/x.
        image_shape: the image, z/y/x; z is 1 for a 2D image, which gets 2D columns.
        extent: the part of the image that can be read; None means all.
        threads: threads over objects; never changes a number.
        max_voxels: largest read. A single object beyond it is measured on every n-th voxel (`sampling_step`).
        progress: called with (objects done, objects) every few objects; may raise to stop.

    Returns:
        One row per object, sorted by label; the columns are those of `columns_for`.

    Raises:
        InvalidInput: an object has no voxel in its box, or channel names collide.
    """
    gap, shell = gap_and_shell(tuple(voxel_size), image_shape[0] == 1)
    frame = _Frame(image_shape, np.array(tuple(voxel_size)), suffixes(list(read_channels)), gap, shell)
    readable = Box.of(image_shape) if extent is None else extent
    margin = [g + s for g, s in zip(gap, shell, strict=True)]
    rows: list[dict[str, float]] = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for group in group_objects(objects, margin, readable, max_voxels):
            for row in _measure_group(group, objects, read_labels, read_channels, frame, pool if threads > 1 else None):
                rows.append(row)
                if progress is not None and (len(rows) % PROGRESS_EVERY == 0 or len(rows) == len(objects)):
                    progress(len(rows), len(objects))
    return _table(sorted(rows, key=lambda row: row["label"]), frame)


def _measure_group(
    group: Group,
    objects: Mapping[int, Box],
    read_labels: Read,
    read_channels: Mapping[str, Read],
    frame: _Frame,
    pool: ThreadPoolExecutor | None,
) -> Iterator[dict[str, float]]:
    labels = _read(read_labels, group)
    if group.step > 1 and np.count_nonzero(labels == group.ids[0]) < FEW_SAMPLES:
        labels = _read(lambda box: read_labels(box) == group.ids[0], group, np.maximum).astype(np.int64) * group.ids[0]
    images = {frame.channels[name]: _read(read, group) for name, read in read_channels.items()}
    free = background_mask(labels, frame.gap) if images else np.zeros((0, 0, 0), bool)
    step = group.step
    spacing = frame.spacing * step
    plane = labels[0] if frame.ndim == 2 else labels
    number, area = contacts(plane, group.ids, spacing[-frame.ndim :])

    def one(label: int) -> dict[str, float]:
        box = objects[label]
        return _measure_object(label, box, group, labels, images, free, frame)

    rows = map(one, group.ids) if pool is None else pool.map(one, group.ids)
    contact = "contact_area_um2" if frame.ndim == 3 else "contact_length_um"
    for row, touching, shared in zip(rows, number.tolist(), area.tolist(), strict=True):
        yield row | {"touching_neighbours": touching, contact: shared}


def _measure_object(
    label: int,
    box: Box,
    group: Group,
    labels: np.ndarray,
    images: Mapping[str, np.ndarray],
    free: np.ndarray,
    frame: _Frame,
) -> dict[str, float]:
    inner = _sampled(box, group)
    crop = labels[inner.slices]
    mask = crop == label
    if not mask.any():
        raise InvalidInput(f"Object {label} has no voxel in its bounding box.", "Find the objects again.")
    step, d = group.step, frame.ndim
    spacing = (frame.spacing * step)[-d:]
    columns, centre = shape_3d(mask, spacing) if d == 3 else shape_2d(mask[0], spacing)
    columns[frame.count] *= step**d
    # The sampled voxels stand for blocks of `step` voxels that are aligned to the group, not to the object.
    first = np.array(group.box.start[-d:]) + np.array(inner.start[-d:]) * step
    where = position(first + centre * step + (step - 1) / 2, box, frame.spacing[-d:], "zyx"[-d:])
    edges = zip(box.start[-d:], box.stop[-d:], frame.image_shape[-d:], strict=True)
    columns |= {"label": label, **where, "sampling_step": step}
    columns["touches_border"] = any(a == 0 or b == n for a, b, n in edges)
    if images:
        wide = inner.grown(frame.shell).clipped(labels.shape)
        around = free[wide.slices]
        for channel, image in images.items():
            columns |= intensity_columns(image[inner.slices][mask], image[wide.slices][around], channel)
    return columns


def _read(read: Read, group: Group, reduce: np.ufunc | None = None) -> np.ndarray:
    """The voxels of a group, every `step`-th of them without ever holding all.

    With `reduce`, each block of `step` voxels per axis is reduced to one value instead: used for an object so thin
    or scattered that hardly any sampled voxel belongs to it.
    """
    if group.step == 1:
        return read(group.box)
    step = group.step
    unit = as_index(step * max(1, n // step) for n in (64, 256, 256))
    out: np.ndarray | None = None
    for part in blocks(group.box.shape, unit):
        piece = read(part.shifted(group.box.start))
        for axis in range(3):
            starts = np.arange(0, piece.shape[axis], step)
            piece = piece.take(starts, axis) if reduce is None else reduce.reduceat(piece, starts, axis=axis)
        if out is None:
            out = np.zeros([-(-n // step) for n in group.box.shape], piece.dtype)
        start = [a // step for a in part.start]
        out[tuple(slice(a, a + n) for a, n in zip(start, piece.shape, strict=True))] = piece
    return np.zeros((0, 0, 0), np.uint32) if out is None else out


def _sampled(box: Box, group: Group) -> Box:
    """A box of the image in the (sampled) array of its group."""
    inner, step = box.relative_to(group.box.start), group.step
    return Box(as_index(a // step for a in inner.start), as_index(-(-b // step) for b in inner.stop))


def _table(rows: Sequence[Mapping[str, float]], frame: _Frame) -> Table:
    dictionary = columns_for(frame.ndim, list(frame.channels.values()))
    raw = {c.name: np.array([row.get(c.name, np.nan) for row in rows], dtype=float) for c in dictionary}
    for channel in frame.channels.values():
        raw |= above_background(raw, raw[frame.count], channel)
    axes = "zyx"[-frame.ndim :]
    raw |= distances(np.stack([raw[f"centroid_{a}_um"] for a in axes], axis=1), frame.ndim)
    return Table({c.name: raw[c.name].astype(c.dtype) for c in dictionary})
