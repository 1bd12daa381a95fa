"""Which things in OMERO are ours: every one carries the run that made it, and a marker says that a run is complete.

A run is what one job writes under one name of labels about one thing (an image, or a container of images). The text
`noyau run <job>/<name>` begins the description of each ROI, annotation and image of it, and its files are named by it.
A run without a marker was interrupted; its leftovers are removed and it is written again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from noyau.domain.omero_uri import OmeroUri

RUN_NAMESPACE = "noyau/run"
"""Of the marker, a map annotation with the provenance. Not the namespace that people edit in OMERO.web."""
FILE_NAMESPACE = "noyau/file"
BULK_NAMESPACE = "openmicroscopy.org/omero/bulk_annotations"
"""Of tables, so that OMERO.web shows them."""
PREFIX = "noyau run "
ZARR_PART = "Zarr labels"
"""The part of a run that only points to labels outside of OMERO."""
ZARR_LABELS = "Zarr labels"
"""Name in the marker of where labels are that were written into the OME-Zarr behind the image."""
_TAG = re.compile(r"noyau run (?P<job>[A-Za-z0-9_-]+)/(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?: .*)?", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        job: id of the job.
        name: of the labels.
    """

    job: str
    name: str

    @property
    def tag(self) -> str:
        """The text that begins each description."""
        return f"{PREFIX}{self.job}/{self.name}"

    def part(self, what: str) -> str:
        """Description of one part of the run, e.g. `table` or `ROIs 3`."""
        return f"{self.tag} {what}"

    def file_name(self, parent: OmeroUri, what: str) -> str:
        """Name of a file of the run; the thing it is about is in it, so that a lost file can be found again."""
        stem, _, suffix = what.partition(".")
        return f"{file_prefix(parent)}{self.name}-{stem}-{self.job}.{suffix}"

    def image_description(self, image: OmeroUri) -> str:
        """Description of the label image, the same in each attempt, by which a lost one is found."""
        return self.part(f"labels of {image.title}")


def measured_name(labels: str) -> str:
    """Name of the run that measures labels which exist already: it replaces measurements, never the labels."""
    return f"{labels}-measured"


def run_of(description: str | None) -> Run | None:
    """The run that a description names; None for what is not ours."""
    match = _TAG.fullmatch(description or "")
    return Run(match["job"], match["name"]) if match else None


def is_reference(description: str | None) -> bool:
    """Whether a ROI of ours with this description outlines nothing, and points to Zarr labels instead."""
    run = run_of(description)
    return run is not None and str(description).startswith(run.part(ZARR_PART))


def file_prefix(parent: OmeroUri) -> str:
    """How the names of all files about a thing begin."""
    return f"noyau-{parent.kind}-{parent.id}-"
