"""Between segmenting and OMERO: what is saved is recorded, so that a restarted job does not save it again."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from noyau.domain.image import ImageInfo
from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.measurement.contact_sheet import thumbnail
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.publication import publish
from noyau.pipelines.set_publication import thumbnail_path
from noyau.pipelines.targets import Item
from noyau.sinks.results import OVERVIEW
from noyau.storage.store import Store

SAVED = "saved"


def save(
    spec: SegmentSpec, item: Item, info: ImageInfo, staged: ImageResult, context: PipelineContext, book: UnitBook
) -> ImageResult:
    """Saves the results of an image in OMERO and lets go of the job's own copy.

    Args:
        spec: the request.
        item: the image, staged.
        info: of the level that was segmented.
        staged: what was segmented.
        context: of the job.
        book: remembers the result and what the user should know.
    """
    number = str(item.number)
    known = book.finished(SAVED, number)
    if known:
        return ImageResult(**known["result"]["result"])
    if item.container:
        keep_thumbnail(spec.labels, item, context)
    done = publish(spec, item, info, staged, context)
    for message in done.told:
        context.reporter.log(message, "warning")
    book.mark(SAVED, number, "result", {"result": asdict(done.result), "told": list(done.told)})
    shutil.rmtree(item.target, ignore_errors=True)
    return done.result


def saved_messages(item: Item, book: UnitBook) -> list[str]:
    """What the user should know of an image's results in OMERO."""
    known = book.finished(SAVED, str(item.number))
    return list(known["result"]["told"]) if known else []


def keep_thumbnail(name: str, item: Item, context: PipelineContext) -> None:
    """A small copy of the overview of an image for the figure of the whole set; `name` is that of the labels."""
    picture = Store(item.target).read(f"noyau/{name}/{OVERVIEW}")
    path: Path = thumbnail_path(item.number, context)
    if picture is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # a set without this picture is better than none
            path.write_bytes(thumbnail(picture))
