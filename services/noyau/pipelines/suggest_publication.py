"""Suggestions of images in OMERO -> OMERO: table and picture on what was asked about, rank and score on each image.

The ranks on the images are written first and the marker of the table last, so that it says that all of it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from noyau.domain.errors import PermissionRefused, Unavailable
from noyau.domain.omero_uri import OmeroUri, is_omero, parse_omero
from noyau.omero.cleaning import remove_run
from noyau.omero.permissions import may_annotate
from noyau.omero.runs import Run
from noyau.pipelines.attachments import TRIES, annotation
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.flatten import flatten
from noyau.pipelines.omero_sinks import omero_sink
from noyau.pipelines.places import omero_of
from noyau.pipelines.suggest_output import PICTURE, TABLE, Suggestion
from noyau.sinks.omero import OmeroFile, OmeroSink

NAME = "suggestions"
"""Of the results in OMERO."""


def check_suggestions(output: str, overwrite: bool, context: PipelineContext) -> None:
    """Refuses before any work what could not be saved afterwards.

    Args:
        output: what gets the table, `omero://...`.
        overwrite: earlier suggestions may be replaced.
        context: of the job.

    Raises:
        PermissionRefused: the job's owner may not add anything to it.
        AlreadyExists: there are suggestions.
    """
    uri = parse_omero(output)
    session = omero_of(context).at(uri)
    if not session.call(lambda line: may_annotate(line, uri), f"looking at {uri.title}"):
        raise PermissionRefused(
            f"{session.user or 'You'} may look at {uri.title} on the OMERO server '{uri.alias}', but not add to it.",
            "Have the suggestions written elsewhere with --output.",
        )
    omero_sink(uri, NAME, context).require_free(overwrite=overwrite)


def publish_suggestions(
    output: str,
    suggestions: Sequence[Suggestion],
    record: Mapping[str, Any],
    folder: Path,
    context: PipelineContext,
    *,
    overwrite: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Saves suggestions.

    Args:
        output: what gets the table, `omero://...`.
        suggestions: in the order of their rank.
        record: of the whole search.
        folder: where table and picture lie complete.
        context: of the job.
        overwrite: remove earlier suggestions.

    Returns:
        the images in the order of their rank, then what was attached; and what the user should know.
    """
    context.reporter.stage("save")
    uri = parse_omero(output)
    images = _best(suggestions)
    told = [message for image, row in images.items() if image != uri and (message := _rank(image, row, context))]
    attached = _summary(omero_sink(uri, NAME, context), uri, suggestions, record, folder)
    if overwrite:
        sinks = [omero_sink(place, NAME, context) for place in dict.fromkeys((uri, *images))]
        told += [message for sink in sinks if (message := sink.replace_others())]
    return (*(str(image) for image in images), *attached), tuple(told)


def remove_suggestions(output: str, images: Iterable[str], context: PipelineContext) -> None:
    """Takes back what a failed or cancelled job wrote, unless all of it is there. May be repeated.

    Args:
        output: what gets the table.
        images: URIs of the images that were looked at.
        context: of the job.
    """
    uri = parse_omero(output)
    sink = omero_sink(uri, NAME, context)
    if sink.is_complete():
        return
    sink.abort()
    run = Run(context.job_id, NAME)
    for image in dict.fromkeys(parse_omero(one) for one in images if is_omero(one)):
        work = partial(remove_run, parent=image, run=run)
        omero_of(context).at(image).call(work, f"removing suggestions from {image.title}")


def _best(suggestions: Sequence[Suggestion]) -> dict[OmeroUri, dict[str, Any]]:
    """The images in OMERO with the row of their best crop."""
    found: dict[OmeroUri, dict[str, Any]] = {}
    for suggestion in suggestions:
        if is_omero(suggestion.crop.ref.uri):
            found.setdefault(parse_omero(suggestion.crop.ref.uri), suggestion.row())
    return found


def _rank(image: OmeroUri, row: Mapping[str, Any], context: PipelineContext) -> str:
    """Writes the rank of an image to it; returns a sentence where that may not be."""
    sink = omero_sink(image, NAME, context)
    try:
        if not sink.begin():
            sink.finish({name: str(value) for name, value in row.items() if name not in ("file", "image")})
    except PermissionRefused as error:
        return f"{image.title} is suggested, but that could not be noted on it: {error.cause}"
    return ""


def _summary(
    sink: OmeroSink, uri: OmeroUri, suggestions: Sequence[Suggestion], record: Mapping[str, Any], folder: Path
) -> tuple[str, ...]:
    """Table, CSV and picture; their URIs."""
    for _ in range(TRIES):
        if sink.begin():
            return (annotation(uri, sink.marker()[0]),)
        made = [
            sink.write_table(NAME, _columns(suggestions)),
            sink.write_file(OmeroFile(TABLE, (folder / TABLE).read_bytes(), "text/csv")),
            sink.write_file(OmeroFile(PICTURE, (folder / PICTURE).read_bytes(), "image/png")),
        ]
        if sink.is_whole():
            sink.finish(flatten(record))
            return tuple(annotation(uri, number) for number in made if number is not None)
    raise Unavailable(f"The suggestions for {uri} did not arrive completely in OMERO.", "Run the job again.")


def _columns(suggestions: Sequence[Suggestion]) -> dict[str, np.ndarray]:
    """One row per suggestion, linked to its image."""
    rows = [suggestion.row() for suggestion in suggestions]
    ids = [parse_omero(row["image"]).id if is_omero(row["image"]) else -1 for row in rows]
    left_out = ("file", "image", "channel")
    named = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else {}) if name not in left_out}
    return {"Image": np.array(ids, np.int64), **named}
