"""Which images a project, dataset, screen, plate or well means."""

from __future__ import annotations

from noyau.domain.errors import InvalidInput
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import queries
from noyau.omero.line import Line

_DATASETS = "select l.child.id from ProjectDatasetLink l where l.parent.id = :id order by l.child.id"
_PLATES = "select l.child.id from ScreenPlateLink l where l.parent.id = :id order by l.child.id"
_OF_DATASETS = "select l.child.id from DatasetImageLink l where l.parent.id in (:ids) order by l.child.id"
_OF_PLATES = "select s.image.id from WellSample s where s.well.plate.id in (:ids) order by s.well.plate.id, s.id"
_OF_WELL = "select s.image.id from WellSample s where s.well.id = :id order by s.id"


def images_of(line: Line, uri: OmeroUri) -> list[int]:
    """Ids of the images of a set, each once, in a fixed order; an image stands for itself.

    Raises:
        InvalidInput: the set has no images.
    """
    found = list(dict.fromkeys(_images(line, uri)))
    if not found:
        raise InvalidInput(f"{uri.title} on the OMERO server '{uri.alias}' has no images.")
    return found


def _images(line: Line, uri: OmeroUri) -> list[int]:
    if uri.kind == "image":
        return [uri.id]
    if uri.kind == "dataset":
        return queries.ids(line, _OF_DATASETS, ids=[uri.id])
    if uri.kind == "project":
        return _through(line, queries.ids(line, _DATASETS, id=uri.id), _OF_DATASETS)
    if uri.kind == "well":
        return queries.ids(line, _OF_WELL, id=uri.id)
    if uri.kind == "plate":
        return queries.ids(line, _OF_PLATES, ids=[uri.id])
    if uri.kind == "screen":
        return _through(line, queries.ids(line, _PLATES, id=uri.id), _OF_PLATES)
    raise InvalidInput(f"{uri} names no images.", "Name a project, dataset, screen, plate, well or image.")


def _through(line: Line, parents: list[int], hql: str) -> list[int]:
    return [image for part in queries.batches(parents) for image in queries.ids(line, hql, ids=part)]
