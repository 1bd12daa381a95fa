"""Taking back what a run made, by explicit ids. What a person has worked on since stays."""

from __future__ import annotations

from dataclasses import dataclass, replace

from noyau.domain.omero_uri import OmeroUri
from noyau.omero.annotating import map_values
from noyau.omero.edits import edited_rois
from noyau.omero.inventory import Belongings, belongings
from noyau.omero.line import Line
from noyau.omero.removing import remove, require_ours
from noyau.omero.runs import ZARR_LABELS, Run
from noyau.omero.sets import images_of


@dataclass(frozen=True)
class Removed:
    """What came of a removal.

    Attributes:
        objects: how many objects went.
        kept: ids of the ROIs that stayed, because somebody had changed them.
        zarr: URIs of labels outside of OMERO that the run had written; they are where they were.
    """

    objects: int = 0
    kept: tuple[int, ...] = ()
    zarr: tuple[str, ...] = ()


def runs_about(line: Line, uri: OmeroUri) -> list[tuple[OmeroUri, Run, Belongings]]:
    """Every run of the session's own user about a thing and, for a set of images, about each image of it.

    What is told of a run says which of its ROIs were changed by hand.
    """
    images = [OmeroUri(uri.alias, "image", number) for number in images_of(line, uri)]
    things = [uri, *images] if uri.is_set else images
    return [(thing, run, _looked_at(line, found)) for thing in things for run, found in belongings(line, thing).items()]


def _looked_at(line: Line, found: Belongings) -> Belongings:
    return replace(found, edited=edited_rois(line, found.rois))


def remove_run(line: Line, parent: OmeroUri, run: Run, *, edited: bool = False) -> Removed:
    """Removes everything that a run made about a thing. May be repeated.

    The marker goes first, with the annotations, so that a run that is half removed does not look complete.

    Args:
        line: the connection.
        parent: an image, or a container.
        run: what is removed.
        edited: also remove the ROIs that somebody has changed since.

    Raises:
        FailedPrecondition: something of others hangs on a label image of the run; nothing was removed.
    """
    found = belongings(line, parent).get(run)
    if found is None:
        return Removed()
    kept = () if edited else edited_rois(line, found.rois)
    outside = map_values(line, found.marker).get(ZARR_LABELS) if found.marker else None
    require_ours(line, {"Image": found.images})
    remove(line, {"Annotation": found.annotations})
    # Files whose annotation was just removed went with it; those that never had one are left.
    files = belongings(line, parent).get(run, Belongings()).files
    remove(line, {"OriginalFile": files})
    rois = tuple(sorted(set(found.rois) - set(kept)))
    remove(line, {"Roi": rois})
    remove(line, {"Image": found.images})
    return Removed(sum(map(len, (found.annotations, files, rois, found.images))), kept, (outside,) if outside else ())
