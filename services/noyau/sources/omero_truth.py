"""What people drew or corrected on an image in OMERO, as labels to learn from."""

from __future__ import annotations

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import NotFound
from noyau.domain.geometry import Box
from noyau.domain.image import ImageRef
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.omero.inventory import label_image_of
from noyau.omero.truth import read_truth
from noyau.omero.visitor import Visitor
from noyau.sources.omero import Tell, open_omero
from noyau.sources.writing import as_labels


def read_omero_labels(
    ref: ImageRef,
    visitor: Visitor,
    name: str,
    *,
    time: int = 0,
    access: AccessPolicy,
    tell: Tell = lambda message: None,
) -> np.ndarray:
    """Labels of an image at its finest level, uint32 z/y/x.

    They come from the ROIs with an area (masks, polygons, rectangles, ellipses; points and lines outline nothing), and
    where there are none, from the newest label image that Noyau wrote about the image.

    Args:
        ref: the image.
        visitor: the job's way into OMERO.
        name: of the labels, for the label image.
        time: time point.
        access: the largest volume.
        tell: takes a sentence about what was left out.

    Raises:
        NotFound: there are neither.
        NoyauError: the image cannot be read.
    """
    uri = parse_omero(ref.uri)
    session = visitor.at(uri)
    with open_omero(ImageRef(str(uri)), visitor, access=access) as source:
        shape = source.info.shape
    truth = read_truth(session, uri, shape, time, points=False)
    if truth.ignored:
        tell(f"{truth.ignored} shapes of {uri.title} outline nothing (points, lines, texts) and were left out.")
    if truth.labels.any():
        return truth.labels
    number = session.call(lambda line: label_image_of(line, uri, name), f"looking for labels of {uri.title}")
    if number is None:
        raise NotFound(
            f"{uri.title} on the OMERO server '{uri.alias}' has no ROIs with an area at time point {time}, and no "
            f"label image '{name}'.",
            "Draw or correct nuclei first, or leave the image out.",
        )
    beside = ImageRef(str(OmeroUri(uri.alias, "image", number)))
    with open_omero(beside, visitor, access=access) as labels:
        return as_labels(labels.read(Box.of(labels.info.shape), time=time), beside.uri)
