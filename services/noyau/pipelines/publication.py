"""The results of one image -> OMERO, complete or not at all, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from noyau.domain.errors import PermissionRefused
from noyau.domain.geometry import Box
from noyau.domain.image import ImageInfo
from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.measurement.boxes import objects_of
from noyau.omero.budget import RoiPlan, plan_rois
from noyau.omero.images import OmeroImage, read_image
from noyau.omero.label_image import LabelImage
from noyau.omero.rois import ObjectCrop
from noyau.omero.runs import ZARR_LABELS, Run
from noyau.pipelines.attachments import Attachments, Published, replaced, write_whole
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.omero_sinks import omero_sink
from noyau.pipelines.places import omero_of
from noyau.pipelines.targets import Item
from noyau.pipelines.zarr_labels import check_zarr_labels, write_zarr_labels
from noyau.planning.enlarging import Enlarging
from noyau.planning.units import unit_shape
from noyau.sinks.colours import colour
from noyau.sinks.omero import OmeroSink
from noyau.sinks.results import OVERVIEW
from noyau.sources.labels import LabelSource, open_labels

READ_UNIT = (64, 512, 512)
MOST_REFERENCED = 64_000_000
"""Pixels of a plane above which no ROI points to Zarr labels: it holds a bit for each."""
FILL_ALPHA = 110
"""Opacity of a mask: the image shows through."""


def check_publication(
    item: Item, name: str, overwrite: bool, context: PipelineContext, *, into_zarr: bool = False
) -> None:
    """Refuses before any work what could not be saved afterwards.

    Args:
        item: the image.
        name: of the results.
        overwrite: earlier results of this name may be replaced.
        context: of the job.
        into_zarr: the labels go into the OME-Zarr behind the image.

    Raises:
        PermissionRefused: the job's owner may not add anything to the image.
        AlreadyExists: results of this name are there.
    """
    uri = parse_omero(item.ref.uri)
    session = omero_of(context).at(uri)
    image = session.call(lambda line: read_image(line, uri), f"opening {uri.title}")
    if not image.may_annotate:
        raise PermissionRefused(
            f"{session.user or 'You'} may look at {uri.title} on the OMERO server '{uri.alias}', but not add to it: "
            "ROIs, tables and labels could not be saved.",
            "Ask the group's owner for permission, or write the results elsewhere with --output.",
        )
    omero_sink(uri, name, context).require_free(overwrite=overwrite)
    if into_zarr:
        check_zarr_labels(item.ref, image, name, overwrite, context)


def publish(spec: SegmentSpec, item: Item, info: ImageInfo, staged: ImageResult, context: PipelineContext) -> Published:
    """Saves the results of an image that lie complete in the job's own folder.

    Args:
        spec: the request.
        item: the image.
        info: of the level that was segmented.
        staged: what the folder holds.
        context: of the job.

    Raises:
        NoyauError: OMERO refused or did not answer; what is half written the job's clean-up removes.
    """
    uri = parse_omero(item.ref.uri)
    session = omero_of(context).at(uri)
    image = session.call(lambda line: read_image(line, uri), f"opening {uri.title}")
    sink = omero_sink(uri, spec.labels, context)
    context.reporter.stage("save")
    with open_labels(item.target, name=spec.labels, access=context.access) as labels:
        done = write_whole(
            _Publication(spec, item, info, staged, context, image, sink, labels), overwrite=spec.overwrite
        )
    return replaced(done, sink, overwrite=spec.overwrite)


@dataclass(frozen=True)
class _Publication:
    """What the steps of one image share."""

    spec: SegmentSpec
    item: Item
    info: ImageInfo
    staged: ImageResult
    context: PipelineContext
    source: OmeroImage
    sink: OmeroSink
    labels: LabelSource

    @property
    def image(self) -> OmeroUri:
        """The image."""
        return self.source.uri

    @cached_property
    def boxes(self) -> list[tuple[int, dict[int, Box]]]:
        """Bounding boxes on the segmented level by label, for each time point."""
        first, last = self.item.ref.time or (0, self.info.times - 1)
        unit = unit_shape(self.labels.info.shape, self.labels.info.chunk, READ_UNIT)
        shape = self.labels.info.shape
        return [(t, objects_of(partial(self._read, t), shape, unit)) for t in range(first, last + 1)]

    @cached_property
    def plan(self) -> RoiPlan:
        """Which ROIs, and whether a label image."""
        boxes = [self._grid.fine_box(box) for _, found in self.boxes for box in found.values()]
        budget = omero_of(self.context).gateway.server(self.image.alias).budget
        shapes = sum(box.shape[0] for box in boxes)
        return plan_rois(self.spec.rois, self.spec.label_image, len(boxes), shapes, budget)

    def write(self) -> Published:
        """Writes everything but the marker."""
        told = [self.plan.message]
        labels_uri, rois = "", dict[int, int]()
        if self.plan.label_image:
            number, message = self.sink.write_label_image(self._label_image())
            labels_uri = str(replace(self.image, id=number))
            told.append(message)
        if self.plan.kind != "none":
            rois = self.sink.write_rois(self._objects(), self.plan.kind)
            labels_uri = labels_uri or str(self.image)
        if self.spec.label_image == "zarr":
            labels_uri = self._write_zarr()
            told.append(f"The labels of {self.image.title} are in the OME-Zarr behind it: {labels_uri}")
        table, message = self._files.table(rois)
        result = replace(
            self.staged,
            uri=str(self.image),
            labels_uri=labels_uri,
            table_uri=table,
            overview_uri=self._files.file(OVERVIEW, "image/png"),
        )
        return Published(result, tuple(text for text in (*told, message) if text))

    def values(self, done: Published) -> dict[str, str]:
        """The marker's texts: what the results are and how they came about."""
        ours = {"nuclei": str(done.result.nuclei), "ROIs": self.plan.kind}
        if self.spec.label_image == "zarr":
            ours[ZARR_LABELS] = done.result.labels_uri
        return {**ours, **self._files.provenance(), **done.texts()}

    @property
    def _grid(self) -> Enlarging:
        return Enlarging(self.labels.info.shape, self.source.shape)

    @property
    def _files(self) -> Attachments:
        return Attachments(self.sink, self.image, self.item.target, self.spec.labels)

    def _read(self, time: int, box: Box) -> np.ndarray:
        self.context.reporter.check()
        return self.labels.read(box, time=time)

    def _objects(self) -> Iterator[ObjectCrop]:
        """Every object with its labels on the finest level."""
        for time, found in self.boxes:
            for label, box in found.items():
                fine = self._grid.fine_box(box)
                red, green, blue, _ = colour(label)
                crop = self._grid.read(partial(self._read, time), fine)
                yield ObjectCrop(label, time, crop, fine.start, (red, green, blue, FILL_ALPHA))

    def _write_zarr(self) -> str:
        """Writes the labels into the OME-Zarr behind the image and says so in OMERO; their URI."""
        uri = write_zarr_labels(
            self.item.ref, self.source, self.labels, self.spec.labels, nuclei=self.staged.nuclei,
            overwrite=self.spec.overwrite, context=self.context,
        )  # fmt: skip
        _, height, width = self.source.shape
        if height * width <= MOST_REFERENCED:
            self.sink.write_reference(uri, height, width)
        return uri

    def _label_image(self) -> LabelImage:
        _, height, width = self.source.shape

        def plane(time: int, z: int) -> np.ndarray:
            box = Box((z, 0, 0), (z + 1, height, width))
            return self._grid.read(partial(self._read, time), box).reshape(height, width)

        return LabelImage(
            source=self.source,
            name=self.spec.labels,
            description=Run(self.context.job_id, self.spec.labels).image_description(self.image),
            largest=max((label for _, found in self.boxes for label in found), default=0),
            voxel_size=self.source.voxel_size,
            read=plane,
        )
