"""One pair from wherever it lives, and what `dataset.json` says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import DamagedData, LimitExceeded, NoyauError
from noyau.training.data.annotations import SUFFIXES, read_annotations
from noyau.training.data.facts import NAME, Facts, read_facts
from noyau.training.data.npz import read_npz
from noyau.training.data.values import Pixels, Place, Readers, Sample

_HIGHEST = 3


def read_sample(place: Place, readers: Readers, group: str, limit: int, labelled: bool = True) -> Sample:
    """Reads image and annotation.

    Args:
        place: from `find_places`.
        readers: of TIFF and OME-Zarr.
        group: label group of an OME-Zarr.
        limit: voxels that an image may have.
        labelled: whether the annotation is wanted.

    Raises:
        NoyauError: the pair cannot be read; the cause names the file.
    """
    try:
        return _read(place, readers, group, limit, labelled)
    except NoyauError as error:
        if place.image in error.cause or (place.labels and place.labels in error.cause):
            raise
        raise type(error)(f"The pair '{place.name}' cannot be read: {error.cause}", error.remedy) from error
    except MemoryError as error:
        raise LimitExceeded(f"'{place.image}' does not fit into memory.", "Cut it into several pairs.") from error
    except Exception as error:  # every format and codec has errors of its own for what is damaged
        raise DamagedData(f"The pair '{place.name}' cannot be read: {error!r}.") from error


def _read(place: Place, readers: Readers, group: str, limit: int, labelled: bool) -> Sample:
    suffix = Path(place.image).suffix.lower()
    if suffix == ".npz":
        return read_npz(place.image, limit, labelled)
    if suffix in (".tif", ".tiff"):
        sample = Sample(readers.tiff(place.image, limit))
    else:
        image, labels = readers.zarr(place.image, group if labelled else None, place.time or 0)
        sample = Sample(image, labels)
    if not labelled or not place.labels:
        return sample
    if Path(place.labels).suffix.lower() in SUFFIXES:
        points, boxes = read_annotations(place.labels, _dimensions(sample.image))
        return replace(sample, points=points, boxes=boxes)
    return replace(sample, labels=readers.tiff(place.labels, limit))


def _dimensions(pixels: Pixels) -> int:
    shape = pixels.values.shape[: -1 if pixels.channels else None]
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return len(shape)


def facts_of(folder: str, access: AccessPolicy, known: dict[str, Facts]) -> Facts:
    """What the `dataset.json` in a folder, or the nearest one of the two above, says.

    Args:
        folder: of a pair; empty for a remote one.
        access: where files may live; folders elsewhere are not looked at.
        known: folders that were looked at before; filled.
    """
    if not folder:
        return Facts()
    if folder not in known:
        paths = [p / NAME for p in [Path(folder), *Path(folder).parents][:_HIGHEST]]
        file = next((p for p in paths if p.is_file() and _permitted(p, access)), None)
        known[folder] = Facts() if file is None else read_facts(file)
    return known[folder]


def _permitted(path: Path, access: AccessPolicy) -> bool:
    try:
        access.check(str(path))
    except NoyauError:
        return False
    return True
