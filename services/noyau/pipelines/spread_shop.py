"""What a worker on another host keeps warm between orders: networks, and the images that it works on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock, Semaphore

import numpy as np

from noyau.assembly.numbering import Numbering
from noyau.domain.errors import DamagedData, JobCancelled
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.frames import Frame
from noyau.pipelines.places import open_source
from noyau.pipelines.spread_values import FrameWork, ImageWork
from noyau.pipelines.targets import Item
from noyau.sinks import LabelSink


class OpenFrame:
    """A frame that a worker has opened, and its label image once something is to be written.

    Args:
        work: names the frame.
        item: the image, with the place of its results as this host sees it.
        context: of the job.
    """

    def __init__(self, work: FrameWork, item: Item, context: PipelineContext) -> None:
        self._work = work
        self._item = item
        self._context = context
        self._lock = Lock()
        self._sink: LabelSink | None = None
        self.users = 0
        spec = work.image.assignment.spec
        self.frame = Frame(
            source=open_source(item.ref, context, voxel_size=spec.voxel_size, fill_missing=spec.fill_missing),
            time=work.time,
            plan=work.image.planned.plan,
            units=work.units,
            intensity=work.intensity,
            folder=context.workdir / work.folder,
            prefix=work.prefix,
        )

    def numbering(self, name: str) -> Numbering:
        """The final numbers that the coordinator has stored."""
        try:
            with np.load(self.frame.folder / name, allow_pickle=False) as columns:
                return Numbering(columns["identity"], columns["number"])
        except (OSError, ValueError, KeyError) as error:
            raise DamagedData(f"The scratch file {name} of the job cannot be read.", "Run the job again.") from error

    def labels(self) -> LabelSink:
        """The hidden label image that the coordinator has made.

        Raises:
            JobCancelled: it is not there any more.
        """
        with self._lock:
            if self._sink is None:
                self._sink = _attach(self._work.image, self._item, self._context)
            return self._sink

    def close(self) -> None:
        """Lets go of the image."""
        self.frame.source.close()


@dataclass
class Shop:
    """What is warm in one worker process.

    Attributes:
        scratch: folder that all workers and the coordinator see.
        device: `cpu` or `cuda:0`, for decoding.
        threads: for the steps within an order.
        make_context: makes the context of a job from its id and its owner.
    """

    scratch: Path
    device: str
    threads: int
    make_context: Callable[[str, str], PipelineContext]
    most_frames: int = 4
    _frames: OrderedDict[tuple[str, int, str], OpenFrame] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    @cached_property
    def windows(self) -> Semaphore:
        """For decoders that hold many planes of a window in memory: one at a time."""
        return Semaphore(1)

    @contextmanager
    def opened(self, work: FrameWork, item: Item, context: PipelineContext) -> Iterator[OpenFrame]:
        """The frame of an order; it stays open for the next ones."""
        with self._lock:
            if work.identity not in self._frames:
                self._frames[work.identity] = OpenFrame(work, item, context)
            found = self._frames[work.identity]
            self._frames.move_to_end(work.identity)
            found.users += 1
            self._drop_old()
        try:
            yield found
        finally:
            with self._lock:
                found.users -= 1

    def _drop_old(self) -> None:
        for identity in list(self._frames)[: -self.most_frames]:
            if not self._frames[identity].users:
                self._frames.pop(identity).close()


def _attach(image: ImageWork, item: Item, context: PipelineContext) -> LabelSink:
    spec = image.assignment.spec
    sink = LabelSink.create(
        item.target,
        spec.labels,
        like=image.planned.plan.info,
        access=context.access,
        job=context.job_id,
        image=item.image,
        level=item.ref.level,
        overwrite=spec.overwrite,
    )
    if sink.committed or not sink.resumed:
        sink.abort()
        raise JobCancelled("The labels are not under way any more.")
    return sink
