"""The results of one image -> OMERO, complete or not at all, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from noyau.domain.errors import PermissionRefused, Unavailable
from noyau.domain.geometry import Box
from noyau.domain.image import ImageInfo
from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.measurement.boxes import objects_of
from noyau.omero.budget import RoiPlan, plan_rois
from noyau.omero.images import OmeroImage, read_image
from noyau.omero.label_image import LabelImage
from noyau.omero.rois import ObjectCrop
from noyau.omero.runs import Run
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.flatten import flatten
from noyau.pipelines.omero_sinks import omero_sink
from noyau.pipelines.places import omero_of
from noyau.pipelines.targets import Item
from noyau.planning.enlarging import Enlarging
from noyau.planning.units import unit_shape
from noyau.sinks.colours import colour
from noyau.sinks.omero import OmeroFile, OmeroSink
from noyau.sinks.results import CSV, OVERVIEW, PARQUET, PROVENANCE
from noyau.sinks.tables import from_parquet
from noyau.sources.labels import LabelSource, open_labels
from noyau.storage.store import Store

TRIES = 3
"""Times that a run is written anew where a look at the end finds it incomplete."""
READ_UNIT = (64, 512, 512)
FILL_ALPHA = 110
"""Opacity of a mask: the image shows through."""
RESULT, TOLD = "noyau.result", "noyau.told"
"""Names in the marker under which the job finds its own result after a restart."""


@dataclass(frozen=True)
class Published:
    """What is in OMERO.

    Attributes:
        result: where.
        told: what the user should know.
    """

    result: ImageResult
    told: tuple[str, ...]


def check_publication(spec: SegmentSpec, item: Item, context: PipelineContext) -> None:
    """Refuses before any work what could not be saved afterwards.

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
    omero_sink(uri, spec.labels, context).require_free(overwrite=spec.overwrite)


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
        done = _write(_Publication(spec, item, info, staged, context, image, sink, labels))
    if spec.overwrite:
        sink.replace_others()
    return done


def _write(work: _Publication) -> Published:
    for _ in range(TRIES):
        if work.sink.begin():
            marker, values = work.sink.marker()
            known = Published(ImageResult(**json.loads(values[RESULT])), tuple(json.loads(values[TOLD])))
            return work.marked(known, marker)
        done = work.write()
        if work.sink.is_whole():
            return work.marked(done, work.sink.finish(work.values(done)))
    raise Unavailable(f"The results for {work.image.uri} did not arrive completely in OMERO.", "Run the job again.")


@dataclass(frozen=True)
class _Publication:
    """What the steps of one image share."""

    spec: SegmentSpec
    item: Item
    info: ImageInfo
    staged: ImageResult
    context: PipelineContext
    image: OmeroImage
    sink: OmeroSink
    labels: LabelSource

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
        budget = omero_of(self.context).gateway.server(self.image.uri.alias).budget
        shapes = sum(box.shape[0] for box in boxes)
        return plan_rois(self.spec.rois, self.spec.label_image, len(boxes), shapes, budget)

    def write(self) -> Published:
        """Writes everything but the marker."""
        told = [self.plan.message]
        labels_uri, rois = "", dict[int, int]()
        if self.plan.label_image:
            number, message = self.sink.write_label_image(self._label_image())
            labels_uri = str(replace(self.image.uri, id=number))
            told.append(message)
        if self.plan.kind != "none":
            rois = self.sink.write_rois(self._objects(), self.plan.kind)
            labels_uri = labels_uri or str(self.image.uri)
        table, message = self._write_table(rois)
        result = replace(
            self.staged,
            uri=str(self.image.uri),
            labels_uri=labels_uri,
            table_uri=table,
            overview_uri=self._annotation(self._write_file(OVERVIEW, "image/png")),
        )
        return Published(result, tuple(text for text in (*told, message) if text))

    def values(self, done: Published) -> dict[str, str]:
        """The marker's texts: what the results are and how they came about."""
        document: dict[str, Any] = self._store.read_json(f"noyau/{self.spec.labels}/{PROVENANCE}") or {}
        texts = flatten({name: value for name, value in document.items() if name != "result"})
        ours = {TOLD: json.dumps(done.told), RESULT: json.dumps(asdict(done.result))}
        return {"nuclei": str(done.result.nuclei), "ROIs": self.plan.kind, **texts, **ours}

    def marked(self, done: Published, marker: int) -> Published:
        """The result with the place of the provenance, which is the marker."""
        return replace(done, result=replace(done.result, provenance_uri=self._annotation(marker)))

    @property
    def _grid(self) -> Enlarging:
        return Enlarging(self.labels.info.shape, self.image.shape)

    @property
    def _store(self) -> Store:
        return Store(self.item.target)

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

    def _label_image(self) -> LabelImage:
        _, height, width = self.image.shape

        def plane(time: int, z: int) -> np.ndarray:
            box = Box((z, 0, 0), (z + 1, height, width))
            return self._grid.read(partial(self._read, time), box).reshape(height, width)

        return LabelImage(
            source=self.image,
            name=self.spec.labels,
            description=Run(self.context.job_id, self.spec.labels).image_description(self.image.uri),
            largest=max((label for _, found in self.boxes for label in found), default=0),
            voxel_size=self.image.voxel_size,
            read=plane,
        )

    def _write_table(self, rois: dict[int, int]) -> tuple[str, str]:
        """The table of objects; returns its URI and a sentence where it could not be saved as a table."""
        parquet = self._store.read(f"noyau/{self.spec.labels}/{PARQUET}")
        if parquet is None:
            return "", ""
        self._write_file(CSV, "text/csv")
        columns = from_parquet(parquet)
        labels = columns["label"]
        linked = {"Roi": np.array([rois[int(n)] for n in labels], np.int64)} if rois else {}
        images = {"Image": np.full(len(labels), self.image.uri.id, np.int64)}
        made = self.sink.write_table("objects", {**images, **linked, **columns})
        if made is None:
            return "", "The OMERO server has no tables service; the measurements are attached as a CSV file."
        return self._annotation(made), ""

    def _write_file(self, name: str, mimetype: str) -> int | None:
        data = self._store.read(f"noyau/{self.spec.labels}/{name}")
        return None if data is None else self.sink.write_file(OmeroFile(name, data, mimetype))

    def _annotation(self, number: int | None) -> str:
        return "" if number is None else str(OmeroUri(self.image.uri.alias, "annotation", number))
