"""What people drew or corrected on an image in OMERO, as labels to learn from and to measure."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import NotFound
from noyau.domain.geometry import Box
from noyau.domain.image import ImageInfo, ImageRef
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.omero.inventory import label_image_of
from noyau.omero.session import Session
from noyau.omero.truth import Truth, read_truth
from noyau.omero.visitor import Visitor
from noyau.sources.labels import LabelSource
from noyau.sources.omero import Tell, open_omero


class DrawnLabels:
    """ROIs as labels, an `ImageSource`. The ROIs of one time point are drawn when it is read first.

    Attributes:
        ref: the image that they are drawn on.
        info: of the labels.
        rois: ids of the ROIs by label, once a time point was read.
    """

    def __init__(self, ref: ImageRef, info: ImageInfo, session: Session, name: str) -> None:
        self.ref = ref
        self.info = info
        self.rois: Mapping[int, int] = {}
        self.ignored = 0
        self._session = session
        self._name = name
        self._drawn: tuple[int, np.ndarray] | None = None
        self._lock = threading.Lock()

    def read(self, box: Box, *, time: int = 0, channel: int | str | None = None) -> np.ndarray:
        """Labels of a box, uint32 z/y/x."""
        return self.volume(time)[box.slices]

    def volume(self, time: int) -> np.ndarray:
        """All labels of a time point; the last one that was asked for is kept."""
        with self._lock:
            if self._drawn is None or self._drawn[0] != time:
                truth = self._draw(time)
                self.rois, self.ignored = truth.rois, truth.ignored
                self._drawn = (time, truth.labels)
            return self._drawn[1]

    def close(self) -> None:
        self._drawn = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _draw(self, time: int) -> Truth:
        uri = parse_omero(self.ref.uri)
        return read_truth(self._session, uri, self.info.shape, time, points=False, name=self._name)


@dataclass(frozen=True)
class OmeroLabels:
    """Labels of an image in OMERO.

    Attributes:
        source: gives them.
        origin: what they come from, for people.
        rois: ids of the ROIs by label; empty for a label image.
    """

    source: LabelSource
    origin: str
    rois: Mapping[int, int]


def open_omero_labels(
    ref: ImageRef, visitor: Visitor, name: str, *, access: AccessPolicy, tell: Tell = lambda message: None
) -> OmeroLabels:
    """Opens the labels of an image at its finest level.

    They come from the ROIs with an area (masks, polygons, rectangles, ellipses; points and lines outline nothing), and
    where there are none, from the newest label image that Noyau wrote about the image.

    Args:
        ref: the image, and the time points in which there has to be something.
        visitor: the job's way into OMERO.
        name: of the labels.
        access: the largest volume.
        tell: takes a sentence about what was left out.

    Raises:
        NotFound: there are neither.
        NoyauError: the image cannot be read.
    """
    uri = parse_omero(ref.uri)
    session = visitor.at(uri)
    with open_omero(ImageRef(str(uri)), visitor, access=access) as image:
        info = replace(image.info, dtype="uint32", channels=("labels",))
    drawn = DrawnLabels(ImageRef(str(uri)), info, session, name)
    first, last = ref.time or (0, info.times - 1)
    found = any(drawn.volume(time).any() for time in range(first, last + 1))
    if drawn.ignored:
        tell(f"{drawn.ignored} shapes of {uri.title} outline nothing (points, lines, texts) and were left out.")
    if found:
        return OmeroLabels(LabelSource(drawn), f"ROIs of {uri.title}", drawn.rois)
    number = session.call(lambda line: label_image_of(line, uri, name), f"looking for labels of {uri.title}")
    if number is None:
        times = f"time point {first}" if first == last else f"time points {first} to {last}"
        raise NotFound(
            f"{uri.title} on the OMERO server '{uri.alias}' has no ROIs with an area at {times}, and no "
            f"label image '{name}'.",
            "Draw or correct nuclei first, or leave the image out.",
        )
    beside = OmeroUri(uri.alias, "image", number)
    return OmeroLabels(LabelSource(open_omero(ImageRef(str(beside)), visitor, access=access)), beside.title, {})


def read_omero_labels(
    ref: ImageRef,
    visitor: Visitor,
    name: str,
    *,
    time: int = 0,
    access: AccessPolicy,
    tell: Tell = lambda message: None,
) -> np.ndarray:
    """Labels of one time point of an image at its finest level, uint32 z/y/x. See `open_omero_labels`."""
    with open_omero_labels(replace(ref, time=(time, time)), visitor, name, access=access, tell=tell).source as labels:
        return labels.read(Box.of(labels.info.shape), time=time)
