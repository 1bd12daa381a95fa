"""Measuring labels that exist already: the same table as `segment` writes, as a job of its own."""

from __future__ import annotations

import os
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef, ImageSource
from noyau.domain.jobs import ImageResult, JobResult, MeasureSpec
from noyau.domain.omero_uri import is_omero
from noyau.domain.progress import Reporter
from noyau.measurement.boxes import objects_of
from noyau.measurement.table import Table
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.picture import draw_overview
from noyau.pipelines.provenance import FORMAT, now, software
from noyau.pipelines.report import FrameObjects, measure_frames, median, size_column
from noyau.pipelines.targets import Item, list_items, remove_leftovers
from noyau.planning.units import unit_shape
from noyau.sinks import ResultSink, preflight
from noyau.sources import open_image
from noyau.sources.channels import channel_index
from noyau.sources.labels import LabelSource, open_labels

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
    items = list_items(_outside_omero(spec.images), spec.output, context)
    for item in items:
        context.reporter.check()
        _check(spec, item, context)
    book = UnitBook(context.ledger)
    results = []
    for item in items:
        context.reporter.check()
        known = book.finished(IMAGE, str(item.number))
        result = ImageResult(**known["result"]) if known else _one(spec, item, context)
        if not known:
            book.mark(IMAGE, str(item.number), "result", asdict(result))
        results.append(result)
    return JobResult(
        images=tuple(results),
        nuclei=sum(r.nuclei for r in results),
        median_volume_um3=median_of(results),
    )


def cleanup(spec: MeasureSpec, context: PipelineContext) -> None:
    """Removes what a failed or cancelled job left beside its images. May be repeated; touches no finished results."""
    remove_leftovers(spec.images, spec.output, spec.labels, context, ROOMS)


def _outside_omero(images: tuple[ImageRef, ...]) -> tuple[ImageRef, ...]:
    for ref in images:
        if is_omero(ref.uri):
            raise InvalidInput(
                f"{ref.uri} cannot be measured: labels are read beside OME-Zarr images only.",
                "`noyau segment` measures what it finds in OMERO.",
            )
    return images


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
        open_image(item.ref, voxel_size=spec.voxel_size, access=context.access) as source,
        open_labels(item.ref.uri, name=spec.labels, access=context.access) as labels,
    ):
        _matching(item, source, labels)
        _voxel_size(item, source)
        _channels(spec, item, source)
    preflight(
        item.target,
        spec.labels,
        access=context.access,
        image=item.ref.uri,
        overwrite=spec.overwrite,
        job=context.job_id,
        rooms=ROOMS,
    )


def _one(spec: MeasureSpec, item: Item, context: PipelineContext) -> ImageResult:
    started, reporter = now(), context.reporter
    with (
        open_image(item.ref, voxel_size=spec.voxel_size, access=context.access) as source,
        open_labels(item.ref.uri, name=spec.labels, access=context.access) as labels,
    ):
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
            threads=context.threads or max(1, len(os.sched_getaffinity(0))),
            reporter=reporter,
        )
        sink = ResultSink.create(
            item.target,
            spec.labels,
            access=context.access,
            job=context.job_id,
            image=item.ref.uri,
            overwrite=spec.overwrite,
        )
        sink.write_overview(_picture(source, labels, size, frames[0], table, reporter))
        document = _provenance(spec, item, context, source, channels, started)
    return _store(spec, item, context, sink, table, document)


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
    spec: MeasureSpec, item: Item, context: PipelineContext, sink: ResultSink, table: Table, document: dict[str, Any]
) -> ImageResult:
    sink.write_table(table.columns, {"job": context.job_id})
    sink.write_provenance(document)
    context.reporter.check()
    uris = sink.commit()
    return ImageResult(
        uri=item.ref.uri,
        labels_uri=f"{item.ref.uri.rstrip('/')}/labels/{spec.labels}",
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
