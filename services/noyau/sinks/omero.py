"""Results -> OMERO: written in batches, complete with a last marker, found again and redone after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from noyau.domain.errors import AlreadyExists, FailedPrecondition, NotFound
from noyau.domain.omero_uri import OmeroUri
from noyau.omero import annotating, inventory, label_image, rois, tables
from noyau.omero.cleaning import Removed, remove_run
from noyau.omero.edits import edited_rois
from noyau.omero.inventory import Belongings
from noyau.omero.label_image import LabelImage
from noyau.omero.line import Line
from noyau.omero.removing import remove
from noyau.omero.rois import Kind, ObjectCrop
from noyau.omero.runs import BULK_NAMESPACE, FILE_NAMESPACE, RUN_NAMESPACE, ZARR_PART, Run
from noyau.omero.session import Session


@dataclass(frozen=True)
class OmeroFile:
    """A file to attach.

    Attributes:
        what: name with suffix, e.g. `overview.png`.
        data: its bytes.
        mimetype: e.g. `image/png`.
    """

    what: str
    data: bytes
    mimetype: str


class OmeroSink:
    """One run about one image or container under way.

    Life: `begin` -> `write_...` in any order -> `is_whole` -> `finish`. Each step bears a lost connection. A job that
    was killed calls `begin` again, which removes what the earlier attempt left, or finds that it was complete.

    Args:
        session: in the group of the thing, as the job's owner.
        parent: what the results are about.
        run: job and name of the labels.
        check: raises when the job should stop.
    """

    def __init__(self, session: Session, parent: OmeroUri, run: Run, check: Callable[[], None] = lambda: None) -> None:
        self._session = session
        self._parent = parent
        self._run = run
        self._check = check
        self._kept: set[int] = set()
        self._rois: list[int] = []
        self._annotations: list[int] = []
        self._images: list[int] = []

    def require_free(self, *, overwrite: bool) -> None:
        """Refuses where another job's complete results of this name are there, unless they may be replaced.

        Results that somebody has corrected since are not replaced.
        """
        for run, found in self._others().items():
            if not overwrite:
                raise AlreadyExists(
                    f"{self._parent.title} has Noyau's results named '{run.name}' already (job {run.job}).",
                    "Choose another name with --labels, or replace them with --overwrite.",
                )
            what = f"looking for corrections at {self._parent.title}"
            edited = self._session.call(partial(edited_rois, rois=found.rois), what)
            if edited:
                raise AlreadyExists(
                    f"Somebody has changed {len(edited)} of the ROIs of '{run.name}' at {self._parent.title} "
                    f"(job {run.job}); replacing them would lose that.",
                    "Choose another name with --labels, or give the changes up: "
                    f"noyau omero clean {self._parent} --edited",
                )

    def begin(self) -> bool:
        """Removes leftovers of an interrupted attempt; True where an earlier attempt was complete."""
        if self._own().marker is not None:
            return True
        self._kept = set(self._remove([self._run]).kept)
        self._rois, self._annotations, self._images = [], [], []
        return False

    def write_rois(self, objects: Iterable[ObjectCrop], kind: Kind) -> dict[int, int]:
        """Saves a ROI for every object, some hundreds at a time; returns the ROI ids by label."""
        saved: dict[int, int] = {}
        for number, part in enumerate(self._batches(objects, kind)):
            self._check()
            saved |= self._save_rois(self._run.part(f"ROIs {number}"), part)
        return saved

    def write_reference(self, path: str, height: int, width: int) -> None:
        """Saves a ROI that points to labels in an OME-Zarr.

        Args:
            path: of the label group.
            height, width: of the image's planes.
        """
        text = self._run.part(ZARR_PART)
        made = rois.make_reference(self._parent.id, height, width, path, text)
        number = self._session.once(
            lambda line: inventory.roi_described(line, self._parent, text),
            lambda line: rois.save_rois(line, [made])[0],
            f"saving where the labels of {self._parent.title} are",
        )
        self._rois.append(number)

    def write_label_image(self, wanted: LabelImage) -> tuple[int, str]:
        """Saves the labels as a new image beside the source.

        Returns:
            its id, and a sentence about what could not be done (empty where there is nothing to tell).
        """
        what = f"writing the label image of {self._parent.title}"
        image = self._session.once(
            lambda line: inventory.image_described(line, wanted.description),
            lambda line: label_image.create_label_image(line, wanted),
            what,
        )
        self._session.call(lambda line: label_image.describe(line, image, wanted), what)
        self._session.call(lambda line: label_image.write_planes(line, image, wanted, self._check), what)
        told = self._session.call(lambda line: label_image.place_beside(line, image, self._parent), what)
        self._images.append(image)
        return image, told

    def write_table(self, what: str, columns: Mapping[str, np.ndarray]) -> int | None:
        """Saves and attaches a table that OMERO.web shows; returns the annotation's id, None without tables service."""
        name = self._run.file_name(self._parent, f"{what}.h5")
        return self._attach(name, what, BULK_NAMESPACE, lambda line: tables.write_table(line, name, columns))

    def write_file(self, file: OmeroFile) -> int | None:
        """Saves and attaches a file; returns the annotation's id."""
        name = self._run.file_name(self._parent, file.what)
        return self._attach(
            name, file.what, FILE_NAMESPACE, lambda line: annotating.upload(line, name, file.data, file.mimetype)
        )

    def is_whole(self) -> bool:
        """Whether everything that was written is there exactly once, and nothing else of this run."""
        found = self._own()
        rois = tuple(sorted(set(found.rois) - self._kept))
        there = (rois, found.annotations, found.images, found.files)
        return there == (*(tuple(sorted(ids)) for ids in (self._rois, self._annotations, self._images)), ())

    def finish(self, values: Mapping[str, str]) -> int:
        """Marks the run complete; returns the marker's id.

        Args:
            values: the provenance, as names and texts.
        """
        self._check()
        text = self._run.part("marker")
        return self._session.once(
            lambda line: inventory.annotation_of(line, self._parent, text),
            lambda line: annotating.attach_map(line, self._parent, values, RUN_NAMESPACE, text),
            f"marking the results of {self._parent.title} complete",
        )

    def marker(self) -> tuple[int, dict[str, str]]:
        """Id, and names and texts, of the marker of this run.

        Raises:
            NotFound: the run is not complete.
        """
        number = self._own().marker
        if number is None:
            raise NotFound(f"The results of job {self._run.job} at {self._parent.title} are not complete.")
        what = f"reading the results of {self._parent.title}"
        return number, self._session.call(lambda line: annotating.map_values(line, number), what)

    def replace_others(self) -> str:
        """Removes what other jobs completed earlier under this name. To be called when this run is complete.

        Of several jobs that replace each other at the same time the one that was complete last stays.

        Returns:
            a sentence about what had to stay, else an empty text.
        """
        try:
            own = self._own().marker or 0
            done = self._remove(run for run, found in self._others().items() if (found.marker or 0) < own)
        except FailedPrecondition as error:
            return f"Earlier results at {self._parent.title} had to stay: {error.cause}"
        told = []
        if done.kept:
            told.append(
                f"{len(done.kept)} ROIs of earlier results at {self._parent.title} were changed by hand and stay."
            )
        if done.zarr:
            told.append(f"Earlier labels are still in {', '.join(done.zarr)}, unless this job wrote there.")
        return " ".join(told)

    def is_complete(self) -> bool:
        """Whether this run is marked complete."""
        return self._own().marker is not None

    def abort(self) -> None:
        """Removes what was written, unless it is complete."""
        if self._own().marker is None:
            self._remove([self._run])

    def _belongings(self) -> dict[Run, Belongings]:
        what = f"looking for Noyau's results at {self._parent.title}"
        return self._session.call(lambda line: inventory.belongings(line, self._parent), what)

    def _own(self) -> Belongings:
        return self._belongings().get(self._run, Belongings())

    def _others(self) -> dict[Run, Belongings]:
        """Complete results of this name by other jobs."""
        found = self._belongings().items()
        return {run: own for run, own in found if own.marker and run.name == self._run.name and run != self._run}

    def _remove(self, runs: Iterable[Run]) -> Removed:
        objects, kept, zarr = 0, tuple[int, ...](), tuple[str, ...]()
        for run in runs:
            work = partial(remove_run, parent=self._parent, run=run)
            done = self._session.call(work, f"removing the results of job {run.job} from {self._parent.title}")
            objects, kept, zarr = objects + done.objects, (*kept, *done.kept), (*zarr, *done.zarr)
        return Removed(objects, kept, zarr)

    def _batches(self, objects: Iterable[ObjectCrop], kind: Kind) -> Iterator[list[tuple[int, Any]]]:
        """ROIs that are not saved yet with their labels, in batches limited in number and bytes."""
        part: list[tuple[int, Any]] = []
        weight = number = 0
        for item in objects:
            roi, size = rois.make_roi(item, kind, self._parent.id, self._run.part(f"ROIs {number}"))
            part.append((item.label, roi))
            weight += size
            if len(part) == rois.BATCH_ROIS or weight > rois.BATCH_BYTES:
                yield part
                part, weight, number = [], 0, number + 1
        if part:
            yield part

    def _save_rois(self, text: str, part: list[tuple[int, Any]]) -> dict[int, int]:
        labels, made = [label for label, _ in part], [roi for _, roi in part]
        saved = self._session.once(
            lambda line: rois.saved_rois(line, self._parent, text, len(part)),
            lambda line: dict(zip(labels, rois.save_rois(line, made), strict=True)),
            f"saving ROIs of {self._parent.title}",
        )
        self._rois += saved.values()
        return saved

    def _attach(self, name: str, what: str, namespace: str, make: Callable[[Line], int | None]) -> int | None:
        """Makes a file and attaches it. A try that was interrupted is found by the file's name and undone."""
        text = self._run.part(what)
        tried = False

        def attempt(line: Line) -> int | None:
            nonlocal tried
            if tried and (done := inventory.annotation_of(line, self._parent, text)) is not None:
                return done
            if tried:
                remove(line, {"OriginalFile": inventory.files_named(line, name)})
            tried = True
            file = make(line)
            return None if file is None else annotating.attach_file(line, self._parent, file, namespace, text)

        made = self._session.call(attempt, f"saving {what} of {self._parent.title}")
        if made is not None:
            self._annotations.append(made)
        return made
