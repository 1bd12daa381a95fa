"""Workers on many hosts as the staff of a job: windows of large volumes, and many small images at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from noyau.compute.executor import Order, Task
from noyau.domain.errors import InternalError
from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.domain.model import ModelInfo
from noyau.inference.backend import Backend, Check, never_stop
from noyau.pipelines import attempts
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.sized import SIZE, sized
from noyau.pipelines.spread_orders import FrameOrders
from noyau.pipelines.spread_values import ROOM, Assignment, ImageWork
from noyau.pipelines.staff import SEGMENTED, Staff

if TYPE_CHECKING:
    from noyau.compute.dask import DaskCrew

CHOICE = "choice"
"""Stage of the ledger for the device and the library that the job began with."""
SMALL_TILES = 8
"""An image of at most so many tiles, all time points together, is done whole by one worker where there are several."""


@contextmanager
def staff_of(spec: SegmentSpec, context: PipelineContext, book: UnitBook) -> Iterator[Staff]:
    """Who does the work: workers on other hosts where the process has a site for them, else this process.

    Raises:
        Unavailable, Unauthenticated, FailedPrecondition: there are no workers, or none with the device.
    """
    if context.site is None:
        yield Staff(spec, context)
        return
    attempts.begin(context.workdir, context.attempt)
    try:
        with context.site.crew(context.reporter.check, lambda text: context.reporter.log(text, "warning")) as crew:
            known = book.finished(CHOICE, "")
            if known:
                crew.resume(bool(known["all"]["gpu"]), str(known["all"]["backend"]))
                gpu, backend = bool(known["all"]["gpu"]), str(known["all"]["backend"])
            else:
                demand = crew.choose(spec.device, spec.backend)
                gpu, backend = demand.gpu, demand.backend
                book.mark(CHOICE, "", "all", {"gpu": gpu, "backend": backend})
            yield SpreadStaff(spec, context, crew, backend, crew, "cuda" if gpu else "cpu")
    finally:
        attempts.end(context.workdir, context.attempt)


@dataclass(frozen=True)
class SpreadStaff(Staff):
    """Workers on other hosts.

    Attributes:
        crew: the workers; also the executor.
        device: `cpu` or `cuda`, the same for the whole job.
    """

    crew: DaskCrew | None = None
    device: str = "cpu"

    def for_images(self, count: int) -> Staff:
        """See `Staff.for_images`. A single image is cut finely; of several, each worker takes its own."""
        if count > 1:
            return self
        return replace(self, context=replace(self.context, limits=self.context.limits.divided()))

    def network(self, planned: SegmentItem) -> Backend:
        """A stand-in that knows what the network runs on; the workers have the network."""
        return DistantNetwork(**self._ask("network", planned))

    def sized(
        self, spec: SegmentSpec, planned: SegmentItem, network: Backend, book: UnitBook
    ) -> tuple[SegmentSpec, SegmentItem]:
        """A worker finds out the diameter, once per job and image."""
        number = str(planned.item.number)
        if not book.finished(SIZE, number):
            found = self._ask("size", planned)
            for message, level in found["told"]:
                self.context.reporter.log(message, level)
            book.mark(SIZE, number, "ratio", {"ratio": found["ratio"]})
        return sized(spec, planned, network, self.context, book)

    def orders(self, spec: SegmentSpec, planned: SegmentItem) -> FrameOrders:
        """See `Staff.orders`."""
        return FrameOrders(ImageWork(self._assignment(planned.plan.model), planned), self._workers.devices)

    def segment_small(self, items: Sequence[SegmentItem], book: UnitBook) -> None:
        """Sends images of a few tiles whole, where there are several."""
        small = [one for one in items if _tiles(one) <= SMALL_TILES]
        open_ones = [one for one in small if not book.finished(SEGMENTED, str(one.item.number))]
        if len(small) < 2 or not open_ones:
            return
        reporter, total = self.context.reporter, len(small)
        count = total - len(open_ones)
        reporter.stage("segment")
        reporter.progress(count, total, "image")

        def done(task: Task, value: Any) -> None:
            nonlocal count
            book.mark(SEGMENTED, task.key, "result", asdict(ImageResult(**value)))
            count += 1
            reporter.progress(count, total, "image")

        tasks = [self._task("image", one, str(one.item.number)) for one in open_ones]
        self.executor.run(tasks, lanes={}, in_flight={}, done=done, check=reporter.check)

    @property
    def _workers(self) -> DaskCrew:
        if self.crew is None:
            raise InternalError("The job has no workers.")
        return self.crew

    def _ask(self, what: str, planned: SegmentItem) -> dict[str, Any]:
        """One answer of one worker."""
        answers: list[dict[str, Any]] = []

        def done(_: Task, value: Any) -> None:
            answers.append(value)

        task = self._task(what, planned, f"{what}:{planned.item.number}")
        self.executor.run([task], lanes={}, in_flight={}, done=done, check=self.context.reporter.check)
        return answers[0]

    def _task(self, what: str, planned: SegmentItem, key: str) -> Task:
        work = ImageWork(self._assignment(planned.plan.model), planned)
        order = Order(f"{ROOM}:{what}", work, True, f"{what} of {planned.item.ref.uri}")
        return Task(key, what, (), order=order)

    def _assignment(self, model: ModelInfo) -> Assignment:
        context = self.context
        # Networks of other makers run on one library only, whatever the job's others do.
        backend = "auto" if model.processing else self.backend or "auto"
        return Assignment(
            context.job_id, context.owner, context.attempt, self.spec, context.limits, self.device, backend
        )


@dataclass
class DistantNetwork:
    """A network that workers on other hosts run: a `Backend` in name, for planning and for the provenance."""

    name: str
    device: str
    precision: str
    memory_bytes: int = 0

    def predict(self, batch: np.ndarray, *, check: Check = never_stop) -> np.ndarray:
        """Never called: tasks with orders are done where the network is."""
        raise InternalError("This process has no network; its workers do.")

    def close(self) -> None:
        """Nothing to free here."""


def _tiles(planned: SegmentItem) -> int:
    first, last = planned.item.ref.time or (0, planned.plan.info.times - 1)
    return len(planned.plan.grid.tiles) * (last - first + 1)
