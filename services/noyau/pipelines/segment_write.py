"""The last pass over a frame: provisional labels become final ones in the label image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from noyau.assembly.numbering import Numbering, apply_numbering
from noyau.compute.executor import Executor, Step, Task
from noyau.domain.errors import LimitExceeded
from noyau.pipelines.frames import Frame
from noyau.pipelines.ledgers import UnitBook
from noyau.planning.units import Unit
from noyau.sinks import LabelSink

if TYPE_CHECKING:
    from noyau.pipelines.spread_orders import FrameOrders

WRITE = "write"
LARGEST_LABEL = 2**32 - 1


def shifted(numbering: Numbering, offset: int) -> Numbering:
    """The numbering with numbers offset + 1, offset + 2, ...: labels stay unique over the time points of an image.

    Raises:
        LimitExceeded: the numbers no longer fit 32 bits.
    """
    if offset + numbering.count > LARGEST_LABEL:
        raise LimitExceeded("The image holds more nuclei than 32-bit labels can tell apart.", "Use fewer time points.")
    number = numbering.number
    return replace(numbering, number=np.where(number > 0, number + np.uint32(offset), number).astype(np.uint32))


def write_frame(
    frame: Frame,
    numbering: Numbering,
    sink: LabelSink,
    executor: Executor,
    *,
    orders: FrameOrders | None = None,
    threads: int,
    book: UnitBook,
    check: Callable[[], None],
) -> None:
    """Writes the units of a frame that are not written yet.

    Args:
        frame: the frame, decoded.
        numbering: of the frame, with the offset of its time point.
        sink: the label image under way.
        executor: runs the tasks.
        orders: how to have them done on other hosts; None where they are done here.
        threads: units at a time.
        book: finished units. They are trusted only where the sink found the earlier attempt's files.
        check: raises when the work should stop.
    """
    finished = book.finished(WRITE, frame.prefix) if sink.resumed else {}
    tasks = [
        Task(unit.name, WRITE, (Step(WRITE, partial(_write, frame, unit, numbering, sink)),))
        for unit in frame.units
        if unit.name not in finished
    ]

    def done(_: Task, name: Any) -> None:
        book.mark(WRITE, frame.prefix, name)

    if orders is not None and tasks:
        tasks = orders.write(frame, tasks, numbering)
    executor.run(tasks, lanes={WRITE: threads}, in_flight={WRITE: threads}, done=done, check=check)


def _write(frame: Frame, unit: Unit, numbering: Numbering, sink: LabelSink, _: Any) -> str:
    return write_unit(frame, unit, numbering if numbering.count else None, sink)


def write_unit(frame: Frame, unit: Unit, numbering: Numbering | None, sink: LabelSink) -> str:
    """Writes the final labels of a unit; returns its name.

    Args:
        frame: the frame, decoded.
        unit: the unit.
        numbering: of the frame; None where it has no nuclei.
        sink: the label image under way.
    """
    if numbering is None:
        labels = np.zeros(unit.box.shape, np.uint32)
    else:
        labels = apply_numbering(frame.provisional.read(unit.name), numbering)
    sink.write(unit.box, labels, time=frame.time)
    return unit.name
