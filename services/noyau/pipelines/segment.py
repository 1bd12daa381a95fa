"""The main job: images in, labels, measurements, picture and provenance out.

One image after another. Within an image reading, network, decoding and writing overlap. A killed job that is started
again with the same context finds in its ledger and its scratch what is finished, and gives the same result.
"""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np

from noyau.domain.jobs import ImageResult, JobResult, SegmentSpec
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem, plan_items
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.one_image import segment_one
from noyau.pipelines.saving import save, saved_messages
from noyau.pipelines.set_publication import publish_sets
from noyau.pipelines.spread import staff_of
from noyau.pipelines.staff import SEGMENTED, Staff
from noyau.pipelines.targets import list_items, remove_leftovers

IMAGE = "image"


def run(spec: SegmentSpec, context: PipelineContext) -> JobResult:
    """Segments the images of a job.

    Nothing becomes visible beside an image before all of its results are complete. What a failed job half wrote
    stays hidden until `cleanup`, so that a job whose process died can go on.

    Raises:
        NoyauError: any of them; the message names the image and what is wrong.
    """
    context.reporter.stage("prepare")
    book = UnitBook(context.ledger)
    with staff_of(spec, context, book) as staff:
        return _segment(spec, context, book, staff)


def _segment(spec: SegmentSpec, context: PipelineContext, book: UnitBook, staff: Staff) -> JobResult:
    found = list_items(spec.images, spec.output, context)
    staff = staff.for_images(len(found))
    context = staff.context
    items = plan_items(spec, found, context, staff.backend)
    for warning in dict.fromkeys(w for planned in items for w in planned.plan.warnings):
        context.reporter.log(warning, "warning")
    staff.segment_small([one for one in items if not book.finished(IMAGE, str(one.item.number))], book)
    results, told = [], []
    for planned in items:
        context.reporter.check()
        results.append(_one(spec, planned, context, book, staff))
        told += saved_messages(planned.item, book)
    told += publish_sets(spec.labels, spec.overwrite, [planned.item for planned in items], results, context)
    context.reporter.metric("voxels", sum(_voxels(planned) for planned in items))
    return _summary(items, results, told)


def cleanup(spec: SegmentSpec, context: PipelineContext) -> None:
    """Removes what a failed or cancelled job left beside its images. May be repeated; touches no finished results."""
    remove_leftovers(spec.images, spec.output, spec.labels, context)


def _one(
    spec: SegmentSpec, planned: SegmentItem, context: PipelineContext, book: UnitBook, staff: Staff
) -> ImageResult:
    number = str(planned.item.number)
    known = book.finished(IMAGE, number)
    if known:
        return ImageResult(**known["result"])
    segmented = book.finished(SEGMENTED, number)
    result = ImageResult(**segmented["result"]) if segmented else segment_one(spec, planned, staff, context, book)
    if planned.item.staged:
        result = save(spec, planned.item, planned.plan.info, result, context, book)
    book.mark(IMAGE, number, "result", asdict(result))
    context.reporter.metric("nuclei", result.nuclei)
    return result


def _voxels(planned: SegmentItem) -> int:
    """Voxels of the time points that were asked for."""
    info = planned.plan.info
    first, last = planned.item.ref.time or (0, info.times - 1)
    return math.prod(info.shape) * (last - first + 1)


def _summary(items: tuple[SegmentItem, ...], results: list[ImageResult], told: list[str]) -> JobResult:
    models = {planned.plan.model.ref: planned.plan.model.digest for planned in items}
    volumes = [r.median_volume_um3 for r in results if r.nuclei]
    return JobResult(
        images=tuple(results),
        nuclei=sum(r.nuclei for r in results),
        median_volume_um3=float(np.median(volumes)) if volumes else 0.0,
        model=", ".join(models),
        model_digest=", ".join(models.values()),
        warnings=tuple(dict.fromkeys([*(w for planned in items for w in planned.plan.warnings), *told])),
    )
