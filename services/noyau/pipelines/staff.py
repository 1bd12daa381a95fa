"""Who does the work of a job: threads of this process. `noyau.pipelines.spread` has the workers on other hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from noyau.compute.executor import Executor
from noyau.compute.inline import InlineExecutor
from noyau.domain.jobs import SegmentSpec
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.networks import ready_network
from noyau.pipelines.sized import sized

if TYPE_CHECKING:
    from noyau.inference.backend import Backend
    from noyau.pipelines.spread_orders import FrameOrders

SEGMENTED = "segmented"
"""Stage of the ledger for images whose results are committed but perhaps not yet saved in OMERO."""


@dataclass(frozen=True)
class Staff:
    """Threads of this process.

    Attributes:
        spec: the request.
        context: of the job.
        executor: runs the tasks.
        backend: library that networks run on, where it is not for this process to choose.
    """

    spec: SegmentSpec
    context: PipelineContext
    executor: Executor = field(default_factory=InlineExecutor)
    backend: str | None = None

    def for_images(self, count: int) -> Staff:
        """The same staff for a job of so many images."""
        return self

    def network(self, planned: SegmentItem) -> Backend:
        """The network of an image's model, ready to run."""
        context = self.context
        return ready_network(
            context.registry, context.backends, planned.plan.model, self.spec.device, self.spec.backend
        )

    def sized(
        self, spec: SegmentSpec, planned: SegmentItem, network: Backend, book: UnitBook
    ) -> tuple[SegmentSpec, SegmentItem]:
        """Finds out the diameter of the nuclei; see `noyau.pipelines.sized`."""
        return sized(spec, planned, network, self.context, book)

    def orders(self, spec: SegmentSpec, planned: SegmentItem) -> FrameOrders | None:
        """How to have the parts of an image done elsewhere; None where they are done here."""
        return None

    def segment_small(self, items: Sequence[SegmentItem], book: UnitBook) -> None:
        """Segments many small images at once where that is of use, and marks them as SEGMENTED."""
