"""What lies complete in the job's own folder about one image -> attached to the image in OMERO, and marked complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from noyau.domain.errors import Unavailable
from noyau.domain.jobs import ImageResult
from noyau.domain.omero_uri import OmeroUri
from noyau.pipelines.flatten import flatten
from noyau.sinks.omero import OmeroFile, OmeroSink
from noyau.sinks.results import CSV, PARQUET, PROVENANCE
from noyau.sinks.tables import from_parquet
from noyau.storage.store import Store

TRIES = 3
"""Times that a run is written anew where a look at the end finds it incomplete."""
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

    def texts(self) -> dict[str, str]:
        """For the marker, which people see.

        The provenance lies in the job's own folder until the marker is there, and then it is the marker: no path of
        the service belongs in it.
        """
        result = {RESULT: json.dumps(asdict(replace(self.result, provenance_uri="")))}
        return {TOLD: json.dumps(self.told), **result} if self.told else result

    @staticmethod
    def of(texts: Mapping[str, str]) -> Published:
        """From a marker."""
        return Published(ImageResult(**json.loads(texts[RESULT])), tuple(json.loads(texts.get(TOLD, "[]"))))


class Work(Protocol):
    """Writing the results of one image."""

    @property
    def image(self) -> OmeroUri:
        """The image."""
        ...

    @property
    def sink(self) -> OmeroSink:
        """Where they go."""
        ...

    def write(self) -> Published:
        """Writes everything but the marker."""
        ...

    def values(self, done: Published) -> dict[str, str]:
        """The marker's texts."""
        ...


def write_whole(work: Work, *, overwrite: bool) -> Published:
    """Writes results until all of them are there once, and marks them complete; what is complete stays as it is.

    Args:
        work: what is written.
        overwrite: earlier results of this name may be there.

    Raises:
        Unavailable: they did not arrive completely.
        AlreadyExists: another job completed results of this name in the meantime.
    """
    for _ in range(TRIES):
        if work.sink.begin():
            marker, values = work.sink.marker()
            return _marked(Published.of(values), marker, work.image)
        done = work.write()
        if not overwrite:
            work.sink.require_free(overwrite=False)
        if work.sink.is_whole():
            return _marked(done, work.sink.finish(work.values(done)), work.image)
    raise Unavailable(f"The results for {work.image} did not arrive completely in OMERO.", "Run the job again.")


def replaced(done: Published, sink: OmeroSink, *, overwrite: bool) -> Published:
    """The same after earlier results of the name are removed where that was asked for, with what had to stay told."""
    stayed = sink.replace_others() if overwrite else ""
    return replace(done, told=(*done.told, stayed)) if stayed else done


@dataclass(frozen=True)
class Attachments:
    """Table, pictures and provenance of one image.

    Attributes:
        sink: where they go.
        image: the image.
        folder: URI of the group that holds them.
        name: of the labels.
    """

    sink: OmeroSink
    image: OmeroUri
    folder: str
    name: str

    def provenance(self) -> dict[str, str]:
        """Names and texts, without the result."""
        document: dict[str, Any] = self._store.read_json(f"noyau/{self.name}/{PROVENANCE}") or {}
        return flatten({name: value for name, value in document.items() if name != "result"})

    def file(self, name: str, mimetype: str) -> str:
        """Attaches a file; returns its URI, empty where there is none."""
        data = self._store.read(f"noyau/{self.name}/{name}")
        return annotation(self.image, None if data is None else self.sink.write_file(OmeroFile(name, data, mimetype)))

    def table(self, rois: Mapping[int, int]) -> tuple[str, str]:
        """Attaches the table of objects, and the same as CSV.

        Args:
            rois: ROI ids by label; the table links to them where every object has one.

        Returns:
            the table's URI, and a sentence where it could not be saved as a table.
        """
        parquet = self._store.read(f"noyau/{self.name}/{PARQUET}")
        if parquet is None:
            return "", ""
        self.file(CSV, "text/csv")
        columns = from_parquet(parquet)
        labels = [int(label) for label in columns["label"]]
        linked = {}
        if rois and all(label in rois for label in labels):
            linked = {"Roi": np.array([rois[label] for label in labels], np.int64)}
        images = {"Image": np.full(len(labels), self.image.id, np.int64)}
        made = self.sink.write_table("objects", {**images, **linked, **columns})
        if made is None:
            return "", "The OMERO server has no tables service; the measurements are attached as a CSV file."
        return annotation(self.image, made), ""

    @property
    def _store(self) -> Store:
        return Store(self.folder)


def annotation(image: OmeroUri, number: int | None) -> str:
    """URI of an annotation; empty for none."""
    return "" if number is None else str(OmeroUri(image.alias, "annotation", number))


def _marked(done: Published, marker: int, image: OmeroUri) -> Published:
    """With the place of the provenance, which is the marker."""
    return replace(done, result=replace(done.result, provenance_uri=annotation(image, marker)))
