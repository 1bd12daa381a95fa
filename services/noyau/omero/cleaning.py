"""Taking back what a run made, by explicit ids."""

from __future__ import annotations

from noyau.domain.omero_uri import OmeroUri
from noyau.omero.inventory import Belongings, belongings
from noyau.omero.line import Line
from noyau.omero.removing import remove
from noyau.omero.runs import Run
from noyau.omero.sets import images_of


def runs_about(line: Line, uri: OmeroUri) -> list[tuple[OmeroUri, Run, Belongings]]:
    """Every run of the session's own user about a thing and, for a set of images, about each image of it."""
    images = [OmeroUri(uri.alias, "image", number) for number in images_of(line, uri)]
    things = [uri, *images] if uri.is_set else images
    return [(thing, run, found) for thing in things for run, found in belongings(line, thing).items()]


def remove_run(line: Line, parent: OmeroUri, run: Run) -> int:
    """Removes everything that a run made about a thing; returns how many objects that were. May be repeated.

    The marker goes first, with the annotations, so that a run that is half removed does not look complete.
    """
    found = belongings(line, parent).get(run)
    if found is None:
        return 0
    remove(line, {"Annotation": found.annotations})
    # Files whose annotation was just removed went with it; those that never had one are left.
    files = belongings(line, parent).get(run, Belongings()).files
    remove(line, {"OriginalFile": files})
    remove(line, {"Roi": found.rois})
    remove(line, {"Image": found.images})
    return sum(map(len, (found.annotations, files, found.rois, found.images)))
