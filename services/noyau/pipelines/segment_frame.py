"""Finding the nuclei of one frame: predict and decode overlap, then the objects get their final numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noyau.assembly.numbering import Numbering, number_objects, select
from noyau.assembly.objects import Objects, merge, no_objects
from noyau.assembly.stitching import Joins, joined_objects, spread_numbers
from noyau.compute.executor import Executor, Task
from noyau.decoding.device import decoder_for
from noyau.inference.backend import Backend
from noyau.pipelines.frames import Frame
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.segment_tasks import DECODE, PREDICT, decode_tasks, predict_tasks
from noyau.pipelines.segment_windows import decode_threads, join_windows

if TYPE_CHECKING:
    from noyau.pipelines.spread_orders import FrameOrders

Advance = Callable[[int, int], None]
"""Told how many tiles and units are done, of how many."""


@dataclass(frozen=True)
class Found:
    """The nuclei of a frame.

    Attributes:
        numbering: provisional identity -> final number 1..n of this frame.
        objects: the kept nuclei in the order of their numbers; identity is the number.
    """

    numbering: Numbering
    objects: Objects


@dataclass(frozen=True)
class Workforce:
    """What does the work, and how much of it at a time.

    Attributes:
        executor: runs the tasks.
        backend: the network.
        threads: threads for decoding and writing.
        batch: tiles per call of the network.
        orders: how to have the tasks done on other hosts; None where they are done here.
    """

    executor: Executor
    backend: Backend
    threads: int
    batch: int
    orders: FrameOrders | None = None

    @property
    def lanes(self) -> dict[str, int]:
        """Steps at a time. The network has its own threads, so one window at a time keeps it busy."""
        return {"read": 1, "network": 1, "store": 1, "decode": self.threads}

    @property
    def in_flight(self) -> dict[str, int]:
        """Tasks at a time: one window in the network, one read ahead, one being stored."""
        return {PREDICT: 3, DECODE: self.threads}


def find_nuclei(frame: Frame, work: Workforce, book: UnitBook, check: Callable[[], None], advance: Advance) -> Found:
    """Predicts and decodes what is not finished, then numbers the nuclei of the frame.

    Args:
        frame: the frame.
        work: executor, network, threads.
        book: finished tiles and units; they are skipped, and each new one is marked after it is stored.
        check: raises when the work should stop.
        advance: told of progress.
    """
    if not frame.intensity.is_flat:
        _run_tasks(frame, work, book, check, advance)
    if frame.intensity.is_flat:
        return _numbered(frame, no_objects(), None)
    decoder = frame.plan.decoder
    joins = None if decoder is None else join_windows(frame, decoder, check)
    return _numbered(frame, merge(frame.provisional.objects(unit.name) for unit in frame.units), joins)


def _numbered(frame: Frame, parts: Objects, joins: Joins | None) -> Found:
    """The nuclei under their final numbers.

    Args:
        frame: the frame.
        parts: the objects under their provisional names.
        joins: names that are one object; None where no two are.
    """
    objects = parts if joins is None else joined_objects(parts, joins)
    # What is certain enough was chosen for the vote; windows keep what their decoder keeps.
    least = frame.plan.vote.min_certainty if frame.plan.decoder is None else 0.0
    numbering = number_objects(objects, frame.plan.min_voxels, least)
    nuclei = select(objects, numbering)
    return Found(numbering if joins is None else spread_numbers(numbering, parts, joins), nuclei)


def _run_tasks(frame: Frame, work: Workforce, book: UnitBook, check: Callable[[], None], advance: Advance) -> None:
    tiles = book.finished(PREDICT, frame.prefix)
    units = book.finished(DECODE, frame.prefix)
    left = len(frame.plan.grid.tiles) - len(tiles)
    share = work.batch if work.orders is None else work.orders.tiles_per_task(left)
    predictions, owners = predict_tasks(frame, work.backend, tiles, share, check)
    decodings = decode_tasks(frame, owners, units, decoder_for(work.backend.device))
    total = len(frame.plan.grid.tiles) + len(frame.units)
    count = total - len(owners) - len(decodings)

    def done(task: Task, result: Any) -> None:
        nonlocal count
        names = result if task.group == PREDICT else [result]
        for name in names:
            book.mark(task.group, frame.prefix, name)
        count += len(names)
        advance(count, total)

    advance(count, total)
    in_flight = {**work.in_flight, DECODE: decode_threads(frame.plan, work.threads)}
    tasks = [*predictions, *decodings]
    if work.orders is not None:
        tasks = work.orders.segment(frame, tasks, owners)
    work.executor.run(tasks, lanes=work.lanes, in_flight=in_flight, done=done, check=check)
