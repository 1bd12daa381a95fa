"""What of ours is attached to a thing in OMERO, found by the texts that every one of our objects carries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from noyau.domain.omero_uri import OmeroUri
from noyau.omero import queries
from noyau.omero.line import Line
from noyau.omero.runs import PREFIX, RUN_NAMESPACE, Run, file_prefix, run_of

_CLASSES = {
    "image": "Image",
    "dataset": "Dataset",
    "project": "Project",
    "plate": "Plate",
    "screen": "Screen",
    "well": "Well",
}
_ROIS = (
    "select r.id, r.description from Roi r "
    "where r.image.id = :id and r.details.owner.id = :owner and r.description like :text order by r.id"
)
_IMAGES = (
    "select i.id, i.description from Image i "
    "where i.details.owner.id = :owner and i.description like :text order by i.id"
)
_FILES = "select f.id, f.name from OriginalFile f where f.details.owner.id = :owner and f.name like :text order by f.id"


@dataclass(frozen=True)
class Belongings:
    """Ids of what one run made.

    Attributes:
        rois, annotations, files, images: database ids. Files that an annotation holds are not counted as files: they
            go with it.
        marker: id of the marker, None where the run is not complete.
        edited: those of the ROIs that somebody has changed since, where that was looked for.
    """

    rois: tuple[int, ...] = ()
    annotations: tuple[int, ...] = ()
    files: tuple[int, ...] = ()
    images: tuple[int, ...] = ()
    marker: int | None = None
    edited: tuple[int, ...] = ()

    @property
    def is_only_edited(self) -> bool:
        """Nothing is left but ROIs that somebody has changed."""
        return bool(self.edited) and self.rois == self.edited and not (self.annotations or self.files or self.images)

    @property
    def is_empty(self) -> bool:
        return not (self.rois or self.annotations or self.files or self.images)


@dataclass
class _Found:
    rois: list[int] = field(default_factory=list)
    annotations: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    marker: int | None = None

    def frozen(self) -> Belongings:
        rois, annotations, files, images = (
            tuple(dict.fromkeys(ids)) for ids in (self.rois, self.annotations, self.files, self.images)
        )
        return Belongings(rois, annotations, files, images, self.marker)


def entity_of(kind: str) -> str:
    """Name of the class of things of a kind, e.g. `Image`."""
    return _CLASSES[kind]


def link_class(kind: str) -> str:
    """Name of the class that links annotations to things of a kind, e.g. `ImageAnnotationLink`."""
    return f"{_CLASSES[kind]}AnnotationLink"


def belongings(line: Line, parent: OmeroUri) -> dict[Run, Belongings]:
    """Everything of ours about a thing, by run; only what the session's own user owns.

    Args:
        line: the connection.
        parent: an image, or a container.
    """
    owner = line.user_id
    found: dict[Run, _Found] = {}
    for annotation, text, namespace in _annotations(line, parent, owner):
        if (run := run_of(text)) is not None:
            place = found.setdefault(run, _Found())
            place.annotations.append(annotation)
            if namespace == RUN_NAMESPACE:
                place.marker = annotation
    held = _held_files(line, [a for place in found.values() for a in place.annotations])
    for file, name in queries.rows(line, _FILES, owner=owner, text=f"{file_prefix(parent)}%"):
        if file not in held and (run := _run_of_file(name, parent)) is not None:
            found.setdefault(run, _Found()).files.append(file)
    if parent.kind == "image":
        for roi, text in queries.rows(line, _ROIS, id=parent.id, owner=owner, text=f"{PREFIX}%"):
            if (run := run_of(text)) is not None:
                found.setdefault(run, _Found()).rois.append(roi)
        for image, text in queries.rows(line, _IMAGES, owner=owner, text=f"{PREFIX}%"):
            run = run_of(text)
            if run is not None and text == run.image_description(parent):
                found.setdefault(run, _Found()).images.append(image)
    return {run: place.frozen() for run, place in found.items()}


def annotation_of(line: Line, parent: OmeroUri, description: str) -> int | None:
    """Id of our annotation with this description on a thing, None where there is none."""
    hql = (
        f"select a.id from {link_class(parent.kind)} l join l.child a "
        "where l.parent.id = :id and a.details.owner.id = :owner and a.description = :text order by a.id"
    )
    found = queries.ids(line, hql, id=parent.id, owner=line.user_id, text=description)
    return found[0] if found else None


def files_named(line: Line, name: str) -> list[int]:
    """Ids of our files of this name."""
    hql = "select f.id from OriginalFile f where f.details.owner.id = :owner and f.name = :text order by f.id"
    return queries.ids(line, hql, owner=line.user_id, text=name)


def image_described(line: Line, description: str) -> int | None:
    """Id of our image with this description, None where there is none."""
    hql = "select i.id from Image i where i.details.owner.id = :owner and i.description = :text order by i.id"
    found = queries.ids(line, hql, owner=line.user_id, text=description)
    return found[0] if found else None


def roi_described(line: Line, image: OmeroUri, description: str) -> int | None:
    """Id of our ROI whose description begins so, None where there is none."""
    for number, text in queries.rows(line, _ROIS, id=image.id, owner=line.user_id, text=f"{PREFIX}%"):
        if text.startswith(f"{description} "):
            return int(number)
    return None


def label_image_of(line: Line, image: OmeroUri, name: str) -> int | None:
    """Id of the newest label image that anyone in the group had Noyau write about an image, None where there is none.

    Args:
        line: the connection.
        image: the image.
        name: of the labels.
    """
    hql = "select i.id, i.description from Image i where i.description like :text order by i.id desc"
    for number, text in queries.rows(line, hql, text=f"{PREFIX}%labels of {image.title}"):
        run = run_of(text)
        if run is not None and run.name == name and text == run.image_description(image):
            return int(number)
    return None


def _annotations(line: Line, parent: OmeroUri, owner: int) -> list[tuple[int, str, str]]:
    hql = (
        f"select a.id, a.description, a.ns from {link_class(parent.kind)} l join l.child a "
        "where l.parent.id = :id and a.details.owner.id = :owner and a.description like :text order by a.id"
    )
    return [(int(i), d, n) for i, d, n in queries.rows(line, hql, id=parent.id, owner=owner, text=f"{PREFIX}%")]


def _held_files(line: Line, annotations: Iterable[int]) -> set[int]:
    hql = "select a.file.id from FileAnnotation a where a.id in (:ids)"
    return {file for part in queries.batches(annotations) for file in queries.ids(line, hql, ids=part)}


def _run_of_file(name: str, parent: OmeroUri) -> Run | None:
    """The run that a file's name tells: prefix, name of the labels, what it is, job."""
    stem = name.removeprefix(file_prefix(parent)).rpartition(".")[0]
    rest, dash, job = stem.rpartition("-")
    labels, dash_too, _ = rest.rpartition("-")
    return Run(job, labels) if name.startswith(file_prefix(parent)) and dash and dash_too and labels else None
