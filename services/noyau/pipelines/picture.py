"""The overview picture of an image, from one pass over pixels and labels with bounded memory."""

from __future__ import annotations

import numpy as np

from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageSource
from noyau.domain.progress import Reporter
from noyau.measurement import overview
from noyau.measurement.projections import ProjectionAccumulator
from noyau.pipelines.report import ReadLabels
from noyau.planning.units import plan_units

READ_UNIT = (32, 512, 512)


def draw_overview(
    source: ImageSource,
    read_labels: ReadLabels,
    voxel_size: VoxelSize,
    *,
    time: int,
    sizes: np.ndarray,
    note: str,
    reporter: Reporter,
) -> bytes:
    """Projects a time point with its labels and draws it.

    Args:
        source: the image; the channel of its reference is shown.
        read_labels: labels of a box at a time point.
        voxel_size: micrometres z/y/x.
        time: the time point to show.
        sizes: volumes (areas in 2D) of all nuclei, for the histogram.
        note: second line, e.g. the model.
        reporter: takes progress and says when to stop.

    Returns:
        A PNG.
    """
    gathered = ProjectionAccumulator(source.info.shape, voxel_size)
    units = plan_units(source.info.shape, source.info.chunk, READ_UNIT)
    for done, unit in enumerate(units):
        reporter.check()
        reporter.progress(done, len(units), "block")
        gathered.add(unit.box, source.read(unit.box, time=time), read_labels(unit.box, time))
    # A name in OMERO may have line breaks.
    title = " ".join(source.info.name.split()) or source.ref.uri.rstrip("/").rsplit("/", 1)[-1]
    if source.info.times > 1:
        title = f"{title}, time point {time}"
    return overview.draw(gathered.views(), title=title, count=len(sizes), sizes=sizes, note=note)
