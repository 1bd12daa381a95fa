"""A project, dataset, screen, plate or well that was segmented gets one table of its images and one figure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from noyau.domain.errors import NoyauError, PermissionRefused, Unavailable
from noyau.domain.jobs import ImageResult
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.measurement.contact_sheet import contact_sheet
from noyau.omero.images import wells_of
from noyau.pipelines.attachments import TRIES
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.omero_sinks import omero_sink
from noyau.pipelines.places import omero_of
from noyau.pipelines.targets import STAGING, Item
from noyau.sinks.omero import OmeroFile, OmeroSink

Row = tuple[Item, ImageResult]


def thumbnail_path(number: int, context: PipelineContext) -> Path:
    """Where the small picture of an image waits for the figure of its set."""
    return context.workdir / STAGING / f"thumbnail{number}.png"


def publish_sets(
    name: str, overwrite: bool, items: Sequence[Item], results: Sequence[ImageResult], context: PipelineContext
) -> list[str]:
    """Saves table and figure on every set of the job; may be repeated.

    Args:
        name: of the results.
        overwrite: remove earlier results of this name.
        items, results: the images and what came of them.
        context: of the job.

    Returns:
        what the user should know.
    """
    told = []
    for container in dict.fromkeys(item.container for item in items if item.container):
        context.reporter.stage("save")
        rows = [(i, r) for i, r in zip(items, results, strict=True) if i.container == container]
        try:
            stayed = _publish(name, overwrite, parse_omero(container), rows, context)
        except PermissionRefused as error:
            # The results of the images are there; only the summary cannot be attached.
            with suppress(NoyauError):
                omero_sink(parse_omero(container), name, context).abort()
            told.append(f"The summary of {parse_omero(container).title} could not be saved: {error.cause}")
            context.reporter.log(told[-1], "warning")
        else:
            told += [stayed] if stayed else []
    return told


def _publish(name: str, overwrite: bool, uri: OmeroUri, rows: list[Row], context: PipelineContext) -> str:
    """Returns a sentence about earlier results that had to stay, else an empty text."""
    sink = omero_sink(uri, name, context)
    for _ in range(TRIES):
        if sink.begin():
            break
        _write(sink, name, uri, rows, context)
        if sink.is_whole():
            sink.finish(_values(rows))
            break
    else:
        raise Unavailable(f"The summary of {uri} did not arrive completely in OMERO.", "Run the job again.")
    return sink.replace_others() if overwrite else ""


def _write(sink: OmeroSink, name: str, uri: OmeroUri, rows: list[Row], context: PipelineContext) -> None:
    sink.write_table("images", _columns(uri, rows, context))
    pictures = []
    for item, result in rows:
        with suppress(OSError):
            title = f"{parse_omero(item.ref.uri).title}: {result.nuclei} nuclei"
            pictures.append((title, thumbnail_path(item.number, context).read_bytes()))
    if pictures:
        sheet = contact_sheet(pictures, f"{uri.title}, {name}: {sum(r.nuclei for _, r in rows)} nuclei")
        sink.write_file(OmeroFile("overview.png", sheet, "image/png"))


def _columns(uri: OmeroUri, rows: list[Row], context: PipelineContext) -> dict[str, np.ndarray]:
    """One row per image; OMERO.parade wants a column `Image`, or `Well` for a plate."""
    images = [parse_omero(item.ref.uri).id for item, _ in rows]
    columns = {"Image": np.array(images, np.int64)}
    if uri.kind in ("screen", "plate", "well"):
        wells = omero_of(context).at(uri).call(lambda line: wells_of(line, images), f"reading {uri.title}")
        columns["Well"] = np.array([wells.get(image, -1) for image in images], np.int64)
    return {
        **columns,
        "nuclei": np.array([result.nuclei for _, result in rows], np.int64),
        "median_volume_um3": np.array([result.median_volume_um3 for _, result in rows], np.float64),
    }


def _values(rows: list[Row]) -> dict[str, str]:
    return {"images": str(len(rows)), "nuclei": str(sum(result.nuclei for _, result in rows))}
