"""Measuring labels that exist already: the same table as `segment` writes, as a job of its own."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from noyau.domain.errors import FailedPrecondition, InvalidInput, NotFound
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageSource
from noyau.domain.jobs import ImageResult, JobResult, MeasureSpec
from noyau.domain.processors import usable_processors
from noyau.domain.progress import Reporter
from noyau.measurement.boxes import objects_of
from noyau.measurement.table import Table
from noyau.omero.runs import measured_name
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.measure_labels import MeasuredLabels, open_measured
from noyau.pipelines.measure_publication import publish_measurement
from noyau.pipelines.picture import draw_overview
from noyau.pipelines.places import open_source
from noyau.pipelines.provenance import FORMAT, now, software
from noyau.pipelines.publication import check_publication
from noyau.pipelines.report import FrameObjects, measure_frames, median, size_column
from noyau.pipelines.saving import keep_thumbnail
from noyau.pipelines.set_publication import publish_sets
from noyau.pipelines.targets import Item, list_items, remove_leftovers
from noyau.planning.units import unit_shape
from noyau.sinks import ResultSink, preflight
from noyau.sources.channels import channel_index
from noyau.sources.labels import LabelSource

IMAGE = "image"
ROOMS = ("tables", "noyau")
READ_UNIT = (64, 512, 512)
"""Voxels read at a time when the objects are looked for."""


def run(spec: MeasureSpec, context: PipelineContext) -> JobResult:
    """Measures the labels of the images of a job.

    Raises:
        NoyauError: any of them; the message names the image and what is wrong.
    """
    context.reporter.stage("prepare")
    told: list[str] = []
    items = [item for item in list_items(spec.images, spec.output, context) if _is_ready(spec, item, context, told)]
    if not items:
        raise NotFound(f"None of the images has labels '{spec.labels}' to measure.", "Segment or draw nuclei first.")
    book = UnitBook(context.ledger)
    results = []
    for item in items:
        context.reporter.check()
        known = book.finished(IMAGE, str(item.number))
        result = ImageResult(**known["result"]) if known else _one(spec, item, context, told)
        if not known:
            book.mark(IMAGE, str(item.number), "result", asdict(result))
        results.append(result)
    told += publish_sets(measured_name(spec.labels), spec.overwrite, items, results, context)
    return JobResult(
        images=tuple(results),
        nuclei=sum(r.nuclei for r in results),
        median_volume_um3=median_of(results),
        warnings=tuple(dict.fromkeys(told)),
    )


def cleanup(spec: MeasureSpec, context: PipelineContext) -> None:
    """Removes what a failed or cancelled job left beside its images. May be repeated; touches no finished results."""
    remove_leftovers(spec.images, spec.output, spec.labels, context, ROOMS, run=measured_name(spec.labels))


def _is_ready(spec: MeasureSpec, item: Item, context: PipelineContext, told: list[str]) -> bool:
    """Checks an image; one of a set in OMERO that has nothing to measure is left out, and told."""
    context.reporter.check()
    try:
        _check(spec, item, context)
    except NotFound as error:
        if not item.container:
            raise
        told.append(f"Left out: {error.cause}")
        context.reporter.log(told[-1], "warning")
        return False
    return True


def median_of(results: list[ImageResult]) -> float:
    """Median over the images that have nuclei of their medians."""
    values = sorted(r.median_volume_um3 for r in results if r.nuclei)
    middle = len(values) // 2
    if not values:
        return 0.0
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def _check(spec: MeasureSpec, item: Item, context: PipelineContext) -> None:
    """Refuses what can be known to fail before any image is measured."""
    with (
        open_measured(item, spec.labels, context) as labels,
        open_source(item.ref, context, voxel_size=spec.voxel_size) as source,
    ):
        _matching(item, source, labels.source)
        _voxel_size(item, source)
        _channels(spec, item, source)
    preflight(
        item.target,
        spec.labels,
        access=context.access,
        image=item.image,
        overwrite=spec.overwrite,
        job=context.job_id,
        rooms=ROOMS,
    )
    if item.staged:
        check_publication(item, measured_name(spec.labels), spec.overwrite, context)


def _one(spec: MeasureSpec, item: Item, context: PipelineContext, told: list[str]) -> ImageResult:
    """Measures an image; what the user should know is added to `told`."""
    with open_measured(item, spec.labels, context) as labels:
        staged = _measure(spec, item, context, labels)
        if not item.staged:
            return staged
        if item.container:
            keep_thumbnail(spec.labels, item, context)
        done = publish_measurement(spec, item, staged, labels.rois, context)
    told += done.told
    shutil.rmtree(item.target, ignore_errors=True)
    return done.result


def _measure(spec: MeasureSpec, item: Item, context: PipelineContext, measured: MeasuredLabels) -> ImageResult:
    """Measures an image and writes the results to the item's target."""
    started, reporter, labels = now(), context.reporter, measured.source
    with open_source(item.ref, context, voxel_size=spec.voxel_size) as source:
        size = _voxel_size(item, source)
        channels = _channels(spec, item, source)
        frames = _objects(item, labels, context)
        reporter.stage("measure")
        table = measure_frames(
            source,
            lambda box, time: labels.read(box, time=time),
            frames,
            size,
            channels=channels,
            threads=context.threads or usable_processors(),
            reporter=reporter,
        )
        sink = ResultSink.create(
            item.target,
            spec.labels,
            access=context.access,
            job=context.job_id,
            image=item.image,
            overwrite=spec.overwrite,
        )
        sink.write_overview(_picture(source, labels, size, frames[0], table, reporter))
        document = {**_provenance(spec, item, context, source, channels, started), "labels": measured.origin}
    return _store(item, context, sink, table, document)


def _picture(
    source: ImageSource, labels: LabelSource, size: VoxelSize, first: FrameObjects, table: Table, reporter: Reporter
) -> bytes:
    """The overview of the first time point."""
    reporter.stage("picture")
    return draw_overview(
        source,
        lambda box, time: labels.read(box, time=time),
        size,
        time=first.time,
        sizes=size_column(table)[: len(first.boxes)],
        note=f"measured with noyau {version('noyau')}",
        reporter=reporter,
    )


def _store(
    item: Item, context: PipelineContext, sink: ResultSink, table: Table, document: dict[str, Any]
) -> ImageResult:
    sink.write_table(table.columns, {"job": context.job_id})
    sink.write_provenance(document)
    context.reporter.check()
    uris = sink.commit()
    return ImageResult(
        uri=item.ref.uri,
        labels_uri=item.ref.uri if item.image is None else str(document["labels"]),
        table_uri=uris.csv,
        overview_uri=uris.overview,
        provenance_uri=uris.provenance,
        nuclei=len(table),
        median_volume_um3=median(size_column(table)),
        flat="area_um2" in table.columns,
    )


def _objects(item: Item, labels: LabelSource, context: PipelineContext) -> list[FrameObjects]:
    """Bounding boxes of all objects of the time points asked for."""
    context.reporter.stage("read")
    first, last = item.ref.time or (0, labels.info.times - 1)
    unit = unit_shape(labels.info.shape, labels.info.chunk, READ_UNIT)

    def frame(time: int) -> FrameObjects:
        def read(box: Any) -> Any:
            context.reporter.check()
            return labels.read(box, time=time)

        return FrameObjects(time, objects_of(read, labels.info.shape, unit))

    return [frame(time) for time in range(first, last + 1)]


def _matching(item: Item, source: ImageSource, labels: LabelSource) -> None:
    if labels.info.shape != source.info.shape or labels.info.times != source.info.times:
        raise InvalidInput(
            f"The labels of {item.ref.uri} have the shape {labels.info.shape} with {labels.info.times} time points, "
            f"the image {source.info.shape} with {source.info.times}.",
            "Measure the resolution level that was segmented.",
        )


def _voxel_size(item: Item, source: ImageSource) -> VoxelSize:
    """The voxel size; 1 is assumed for a 2D image that has none, so that its measurements are in pixels."""
    if source.info.voxel_size is None and source.info.is_2d:
        return VoxelSize(1.0, 1.0, 1.0)
    if source.info.voxel_size is None:
        raise FailedPrecondition(
            f"The metadata of {item.ref.uri} do not say how large its voxels are.",
            "Give the voxel size in micrometres, for example --voxel-size 1.75,0.8,0.8 (z,y,x).",
        )
    return source.info.voxel_size


def _channels(spec: MeasureSpec, item: Item, source: ImageSource) -> list[int]:
    names = source.info.channels
    if not spec.channels:
        return list(range(len(names)))
    return list(dict.fromkeys(channel_index(c, names, item.ref.uri) for c in spec.channels))


def _provenance(
    spec: MeasureSpec, item: Item, context: PipelineContext, source: ImageSource, channels: list[int], started: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "task": "measure",
        "job": context.job_id,
        "started": started,
        "finished": now(),
        "image": {
            "uri": item.ref.uri,
            "voxel_size_um_zyx": tuple(_voxel_size(item, source)),
            "voxel_size_known": source.info.voxel_size is not None,
            "channels": [source.info.channels[c] for c in channels],
        },
        "request": {key: value for key, value in asdict(spec).items() if key != "images"},
        "software": software(),
    }
