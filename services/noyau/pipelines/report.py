"""Table and picture of the nuclei of one image, time point by time point, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from noyau.assembly.objects import Objects
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageSource
from noyau.domain.progress import Reporter
from noyau.measurement.columns import CERTAINTY, TIME
from noyau.measurement.table import Table, concatenate
from noyau.measurement.volume import measure_volume

ReadLabels = Callable[[Box, int], np.ndarray]
"""Labels of a box at a time point, z/y/x."""


@dataclass(frozen=True)
class FrameObjects:
    """The nuclei of one time point.

    Attributes:
        time: the time point.
        boxes: bounding box of each nucleus by its label in the label image.
        certainty: mean foreground probability of each, 0 to 1, by its label; None where no network has spoken.
    """

    time: int
    boxes: Mapping[int, Box]
    certainty: Mapping[int, float] | None = None

    @staticmethod
    def of(time: int, objects: Objects, offset: int = 0) -> FrameObjects:
        """From objects whose identity is the label without the offset of the time point."""
        names = [int(name) + offset for name in objects.identity]
        boxes = {name: objects.box(index) for index, name in enumerate(names)}
        return FrameObjects(time, boxes, dict(zip(names, objects.certainty.tolist(), strict=True)))


def measure_frames(
    source: ImageSource,
    read_labels: ReadLabels,
    frames: Sequence[FrameObjects],
    voxel_size: VoxelSize,
    *,
    channels: Sequence[int | str],
    threads: int,
    reporter: Reporter,
) -> Table:
    """Measures the nuclei of all time points; with several, the table has a column `time`.

    The table says how certain each nucleus is where the frames do.

    Args:
        source: the image; every channel of it can be read.
        read_labels: labels as they were written.
        frames: what to measure.
        voxel_size: micrometres z/y/x.
        channels: channels to measure, by index or name.
        threads: threads over objects.
        reporter: takes progress in nuclei and says when to stop.
    """
    total = sum(len(frame.boxes) for frame in frames)
    before = 0
    tables = []
    for frame in frames:

        def progress(done: int, _: int, base: int = before) -> None:
            reporter.check()
            reporter.progress(base + done, total, "nucleus")

        table = measure_volume(
            partial(_labels_at, read_labels, frame.time),
            _channel_readers(source, frame.time, channels),
            frame.boxes,
            voxel_size,
            image_shape=source.info.shape,
            threads=threads,
            progress=progress,
        )
        before += len(table)
        times = {TIME.name: np.full(len(table), frame.time, TIME.dtype)} if source.info.times > 1 else {}
        tables.append(table.with_columns({**times, **_certainty(table, frame)}))
    return concatenate(tables)


def _certainty(table: Table, frame: FrameObjects) -> dict[str, np.ndarray]:
    """The column of the nuclei's certainty; none where nobody knows it."""
    known = frame.certainty
    if known is None:
        return {}
    return {CERTAINTY.name: np.array([known[int(label)] for label in table["label"]], CERTAINTY.dtype)}


def size_column(table: Table) -> np.ndarray:
    """Volumes in cubic micrometres, or areas in square micrometres for a 2D image."""
    return table["volume_um3" if "volume_um3" in table.columns else "area_um2"]


def median(values: np.ndarray) -> float:
    """The median, 0 where there are no values."""
    return float(np.median(values)) if len(values) else 0.0


def _labels_at(read: ReadLabels, time: int, box: Box) -> np.ndarray:
    return read(box, time)


def _channel_readers(
    source: ImageSource, time: int, channels: Sequence[int | str]
) -> dict[str, Callable[[Box], np.ndarray]]:
    """A reader for each channel by its name; equal names are told apart by their position."""
    names = source.info.channels
    readers: dict[str, Callable[[Box], np.ndarray]] = {}
    for channel in channels:
        name = names[channel] if isinstance(channel, int) else channel
        readers[name if name not in readers else f"{name}_{channel}"] = partial(_channel_at, source, time, channel)
    return readers


def _channel_at(source: ImageSource, time: int, channel: int | str, box: Box) -> np.ndarray:
    return source.read(box, time=time, channel=channel)
