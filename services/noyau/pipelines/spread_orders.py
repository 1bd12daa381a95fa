"""The parts of an image as orders for workers on other hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from noyau.assembly.numbering import Numbering
from noyau.compute.executor import Order, Task
from noyau.pipelines.frames import Frame
from noyau.pipelines.segment_tasks import DECODE, PREDICT
from noyau.pipelines.spread_values import ROOM, FrameWork, ImageWork
from noyau.storage.failures import write_error

WRITE = "write"
MOST_TILES = 8
"""Tiles in one order: reading, network and storing overlap within it."""
SHARES = 4
"""Orders for each worker, so that a slow or a late one does not keep the others waiting."""


@dataclass(frozen=True)
class FrameOrders:
    """Makes the tasks of the frames of one image into orders.

    Attributes:
        image: the image and the job.
        devices: workers that run networks, when the job began.
    """

    image: ImageWork
    devices: int

    def tiles_per_task(self, tiles: int) -> int:
        """How many of the tiles that are left belong into one order."""
        return max(1, min(MOST_TILES, tiles // (SHARES * self.devices)))

    def segment(self, frame: Frame, tasks: Sequence[Task], owners: Mapping[int, str]) -> list[Task]:
        """Tasks to predict and to decode with their orders.

        Args:
            frame: the frame.
            tasks: of `noyau.pipelines.segment_tasks`.
            owners: key of the task of each tile, by the tile's index.
        """
        tiles: dict[str, list[str]] = {}
        for index, key in owners.items():
            tiles.setdefault(key, []).append(frame.plan.grid.tiles[index].name)
        whole = self._frame(frame)
        made = []
        for task in tasks:
            names = tuple(tiles[task.key]) if task.group == PREDICT else (task.key.removeprefix(f"{DECODE}:"),)
            work = replace(whole, stage=task.group, names=names)
            made.append(replace(task, order=_order(work, task.key, device=task.group == PREDICT)))
        return made

    def write(self, frame: Frame, tasks: Sequence[Task], numbering: Numbering) -> list[Task]:
        """Tasks to write final labels with their orders; the numbers go into the scratch.

        Raises:
            LimitExceeded, ...: the scratch cannot be written.
        """
        numbers = _store_numbers(frame, numbering) if numbering.count else ""
        whole = replace(self._frame(frame), stage=WRITE, numbers=numbers)
        return [
            replace(task, order=_order(replace(whole, names=(task.key,)), f"write:{task.key}", device=False))
            for task in tasks
        ]

    def _frame(self, frame: Frame) -> FrameWork:
        # The place that the scratch is mounted at may differ between hosts.
        folder = "/".join(frame.folder.parts[-2:])
        return FrameWork(self.image, frame.time, frame.units, frame.intensity, folder, frame.prefix)


def _order(work: FrameWork, label: str, *, device: bool) -> Order:
    return Order(f"{ROOM}:frame_part", work, device, f"{label} of {work.image.planned.item.ref.uri}")


def _store_numbers(frame: Frame, numbering: Numbering) -> str:
    """Stores the final numbers; returns the name of the file in the frame's folder."""
    first = int(numbering.number[numbering.number > 0].min())
    name = f"numbers-{first}-{numbering.count}.npz"
    part = frame.folder / f".{name}"
    try:
        frame.folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, identity=numbering.identity, number=numbering.number)
        part.replace(frame.folder / name)
    except OSError as error:
        raise write_error(error, str(frame.folder)) from error
    return name
