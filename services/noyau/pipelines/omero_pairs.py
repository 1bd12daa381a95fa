"""Images in OMERO with what people drew on them -> pairs of files to learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.geometry import Box
from noyau.domain.image import ImageRef
from noyau.domain.omero_uri import is_omero, parse_omero
from noyau.domain.progress import Reporter
from noyau.domain.training_jobs import TrainSpec
from noyau.omero.visitor import Visitor
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.pair_files import save_npz
from noyau.pipelines.places import omero_of
from noyau.sources.omero import expand_omero, open_omero
from noyau.sources.omero_truth import read_omero_labels

FOLDER = "pairs"


def with_fetched_data(spec: TrainSpec, context: PipelineContext) -> TrainSpec:
    """The request with what it names in OMERO fetched into the job's own folder; what is there stays as it is.

    Raises:
        NoyauError: an image cannot be read, or a set has nothing to learn from.
    """
    places = []
    for uri in spec.data:
        if is_omero(uri):
            named = parse_omero(uri)
            folder = context.workdir / FOLDER / f"{named.alias}-{named.kind}-{named.id}"
            context.reporter.stage("fetch")
            fetch_pairs(
                uri, folder, omero_of(context), spec.labels, access=context.access, reporter=context.reporter,
                labelled=spec.mode != "pretrain",
            )  # fmt: skip
            places.append(str(folder))
        else:
            places.append(uri)
    return replace(spec, data=tuple(places))


def fetch_pairs(
    uri: str,
    folder: Path,
    visitor: Visitor,
    labels: str,
    *,
    access: AccessPolicy,
    reporter: Reporter,
    labelled: bool = True,
) -> tuple[Path, ...]:
    """Writes an npz for each image and time point that has labels; those that are there are not fetched again.

    Args:
        uri: image or set of images, with a selection of channel and time points if wanted.
        folder: made when absent.
        visitor: the way into OMERO.
        labels: name of the label image that is taken where an image has no ROIs.
        access: the largest volume.
        reporter: takes progress in images; images without labels are told and left out.
        labelled: without it every image is taken, for training without labels.

    Raises:
        NotFound: none of the images has labels.
        InvalidInput: a coarser level was selected: people draw on the finest.
        NoyauError: an image cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    refs = expand_omero(ImageRef(uri), visitor)
    for done, ref in enumerate(refs):
        reporter.check()
        reporter.progress(done, len(refs), "image")
        written += _fetch(ref, folder, visitor, labels if labelled else None, access, reporter)
    if not written:
        raise NotFound(f"No image of {uri} has ROIs or a label image '{labels}' to learn from.", "Draw some first.")
    return tuple(written)


def _fetch(
    ref: ImageRef, folder: Path, visitor: Visitor, labels: str | None, access: AccessPolicy, reporter: Reporter
) -> list[Path]:
    """The pairs of one image."""
    if ref.level != 0:
        raise InvalidInput(f"Level {ref.level} of {ref.uri} has no labels of its own.", "Take the finest level.")
    written = []
    with open_omero(ref, visitor, access=access, tell=reporter.log) as source:
        first, last = ref.time or (0, source.info.times - 1)
        for time in range(first, last + 1):
            path = folder / f"image{parse_omero(ref.uri).id}_t{time:03d}.npz"
            if not path.exists():
                found = _labels(ref, visitor, labels, time, access, reporter.log)
                if found is None and labels is not None:
                    continue
                pixels = source.read(Box.of(source.info.shape), time=time)
                drawn = np.zeros(pixels.shape, np.uint32) if found is None else found
                save_npz(path, pixels, drawn, source.info.voxel_size)
            written.append(path)
    return written


def _labels(
    ref: ImageRef, visitor: Visitor, name: str | None, time: int, access: AccessPolicy, tell: Callable[[str], None]
) -> np.ndarray | None:
    """Labels of a time point, None where there are none."""
    if name is None:
        return None
    try:
        return read_omero_labels(ref, visitor, name, time=time, access=access, tell=tell)
    except NotFound as error:
        tell(error.cause)
        return None
