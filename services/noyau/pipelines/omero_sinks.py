"""This job's sinks in OMERO, and taking back what it did not finish there."""

from __future__ import annotations

from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.omero.runs import Run
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.places import omero_of
from noyau.sinks.omero import OmeroSink


def omero_sink(uri: OmeroUri, labels: str, context: PipelineContext) -> OmeroSink:
    """The sink for this job's results about an image or a container."""
    return OmeroSink(omero_of(context).at(uri), uri, Run(context.job_id, labels), context.reporter.check)


def remove_unpublished(uri: str, labels: str, context: PipelineContext) -> None:
    """Removes what this job wrote about an image or a container, unless it is complete. May be repeated."""
    omero_sink(parse_omero(uri), labels, context).abort()
