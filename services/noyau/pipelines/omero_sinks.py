"""This job's sinks in OMERO, and taking back what it did not finish there."""

from __future__ import annotations

from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.omero.images import read_image
from noyau.omero.runs import Run
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.places import omero_of
from noyau.pipelines.zarr_labels import withdraw_zarr_labels
from noyau.sinks.omero import OmeroSink


def omero_sink(uri: OmeroUri, labels: str, context: PipelineContext) -> OmeroSink:
    """The sink for this job's results about an image or a container."""
    return OmeroSink(omero_of(context).at(uri), uri, Run(context.job_id, labels), context.reporter.check)


def remove_unpublished(uri: str, labels: str, context: PipelineContext) -> None:
    """Removes what this job wrote about an image or a container, unless it is complete. May be repeated."""
    place = parse_omero(uri)
    sink = omero_sink(place, labels, context)
    if sink.is_complete():
        return
    sink.abort()
    if place.kind == "image":
        image = omero_of(context).at(place).call(lambda line: read_image(line, place), f"opening {place.title}")
        if image.zarr is not None:
            withdraw_zarr_labels(image.zarr, labels, context.job_id, context.access)
