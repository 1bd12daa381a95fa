"""Measurements of labels that exist -> OMERO: table, picture and provenance, attached to the image; no labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from noyau.domain.jobs import ImageResult, MeasureSpec
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.omero.runs import measured_name
from noyau.pipelines.attachments import Attachments, Published, replaced, write_whole
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.omero_sinks import omero_sink
from noyau.pipelines.targets import Item
from noyau.sinks.omero import OmeroSink
from noyau.sinks.results import OVERVIEW


def publish_measurement(
    spec: MeasureSpec, item: Item, staged: ImageResult, rois: Mapping[int, int], context: PipelineContext
) -> Published:
    """Saves the measurements of an image that lie complete in the job's own folder.

    Args:
        spec: the request.
        item: the image.
        staged: what the folder holds.
        rois: ids of the measured ROIs by label.
        context: of the job.
    """
    context.reporter.stage("save")
    uri = parse_omero(item.ref.uri)
    sink = omero_sink(uri, measured_name(spec.labels), context)
    files = Attachments(sink, uri, item.target, spec.labels)
    done = write_whole(_Measurement(uri, sink, files, staged, rois), overwrite=spec.overwrite)
    return replaced(done, sink, overwrite=spec.overwrite)


@dataclass(frozen=True)
class _Measurement:
    """What the steps of one image share."""

    image: OmeroUri
    sink: OmeroSink
    files: Attachments
    staged: ImageResult
    rois: Mapping[int, int]

    def write(self) -> Published:
        """Writes everything but the marker."""
        table, told = self.files.table(self.rois)
        overview = self.files.file(OVERVIEW, "image/png")
        result = replace(self.staged, uri=str(self.image), table_uri=table, overview_uri=overview)
        return Published(result, (told,) if told else ())

    def values(self, done: Published) -> dict[str, str]:
        """The marker's texts: what was measured and how."""
        return {"nuclei": str(done.result.nuclei), **self.files.provenance(), **done.texts()}
