"""The main job: images in, labels, measurements, picture and provenance out.

One image after another. Within an image reading, network, decoding and writing overlap. A killed job that is started
again with the same context finds in its ledger and its scratch what is finished, and gives the same result.
"""

from __future__ import annotations

import math
import os
from dataclasses import asdict

import numpy as np

from noyau.compute.inline import InlineExecutor
from noyau.domain.jobs import ImageResult, JobResult, SegmentSpec
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem, plan_items
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.networks import ready_network
from noyau.pipelines.saving import save, saved_messages
from noyau.pipelines.segment_frame import Workforce
from noyau.pipelines.segment_image import ImageJob
from noyau.pipelines.set_publication import publish_sets
from noyau.pipelines.sized import sized
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
    items = plan_items(spec, list_items(spec.images, spec.output, context), context)
    for warning in dict.fromkeys(w for planned in items for w in planned.plan.warnings):
        context.reporter.log(warning, "warning")
    book = UnitBook(context.ledger)
    results, told = [], []
    for planned in items:
        context.reporter.check()
        results.append(_one(spec, planned, context, book))
        told += saved_messages(planned.item, book)
    told += publish_sets(spec, [planned.item for planned in items], results, context)
    context.reporter.metric("voxels", sum(_voxels(planned) for planned in items))
    return _summary(items, results, told)


def cleanup(spec: SegmentSpec, context: PipelineContext) -> None:
    """Removes what a failed or cancelled job left beside its images. May be repeated; touches no finished results."""
    remove_leftovers(spec.images, spec.output, spec.labels, context)


def _one(spec: SegmentSpec, planned: SegmentItem, context: PipelineContext, book: UnitBook) -> ImageResult:
    number = str(planned.item.number)
    known = book.finished(IMAGE, number)
    if known:
        return ImageResult(**known["result"])
    model = planned.plan.model
    network = ready_network(context.registry, context.backends, model, spec.device, spec.backend)
    if spec.fit_diameter and spec.diameter is None:
        spec, planned = sized(spec, planned, network, context, book)
    work = Workforce(
        executor=InlineExecutor(),
        backend=network,
        threads=spec.workers or context.threads or max(1, len(os.sched_getaffinity(0))),
        batch=spec.batch or 1,
    )
    result = ImageJob(spec, planned, work, context, book).run()
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
