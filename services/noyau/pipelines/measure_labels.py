"""The labels that a measurement is about: beside an OME-Zarr, or ROIs and label images in OMERO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from noyau.domain.errors import InvalidInput
from noyau.domain.omero_uri import is_omero
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.places import omero_of
from noyau.pipelines.targets import Item
from noyau.sources.labels import LabelSource, open_labels
from noyau.sources.omero_truth import open_omero_labels


@dataclass(frozen=True)
class MeasuredLabels:
    """Labels of one image.

    Attributes:
        source: gives them.
        origin: where they come from: a URI, or what was drawn in OMERO.
        rois: ids of the ROIs in OMERO by label.
    """

    source: LabelSource
    origin: str
    rois: Mapping[int, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.source.close()


def open_measured(item: Item, name: str, context: PipelineContext) -> MeasuredLabels:
    """Opens the labels of an image.

    Args:
        item: the image.
        name: of the labels.
        context: of the job.

    Raises:
        NotFound: there are none.
        InvalidInput: a coarser level of an image in OMERO: people draw on the finest.
    """
    if not is_omero(item.ref.uri):
        source = open_labels(item.ref.uri, name=name, access=context.access)
        return MeasuredLabels(source, f"{item.ref.uri.rstrip('/')}/labels/{name}")
    if item.ref.level != 0:
        raise InvalidInput(f"Level {item.ref.level} of {item.ref.uri} has no labels.", "Take the finest level, 0.")
    found = open_omero_labels(item.ref, omero_of(context), name, access=context.access, tell=context.reporter.log)
    return MeasuredLabels(found.source, found.origin, found.rois)
