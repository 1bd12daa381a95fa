"""One image of a job from its plan to its results, in this process or by workers on other hosts."""

from __future__ import annotations

from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.domain.processors import usable_processors
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.segment_frame import Workforce
from noyau.pipelines.segment_image import ImageJob
from noyau.pipelines.sized import wants_size
from noyau.pipelines.staff import Staff


def segment_one(
    spec: SegmentSpec, planned: SegmentItem, staff: Staff, context: PipelineContext, book: UnitBook
) -> ImageResult:
    """Segments an image; its results are committed, in OMERO's case in the job's own folder.

    Raises:
        NoyauError: any of them; the message names the image and what is wrong.
    """
    network = staff.network(planned)
    if wants_size(spec, planned):
        spec, planned = staff.sized(spec, planned, network, book)
    work = Workforce(
        executor=staff.executor,
        backend=network,
        threads=spec.workers or context.threads or usable_processors(),
        batch=spec.batch or 1,
        orders=staff.orders(spec, planned),
    )
    return ImageJob(spec, planned, work, context, book).run()
