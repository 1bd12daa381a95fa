"""Table, picture and summary of one segmented image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from noyau.assembly.objects import Objects
from noyau.domain.image import ImageSource
from noyau.domain.jobs import ImageResult
from noyau.pipelines.prepare import ImagePlan
from noyau.sinks import LabelSink, ResultSink


@dataclass(frozen=True)
class FrameObjects:
    """The nuclei of one time point.

    Attributes:
        time: the time point.
        offset: final labels are offset + 1 .. offset + n.
        objects: in the order of their numbers; identity is the number without the offset.
    """

    time: int
    offset: int
    objects: Objects


def write_results(
    uri: str,
    plan: ImagePlan,
    source: ImageSource,
    labels: LabelSink,
    results: ResultSink,
    found: list[FrameObjects],
) -> ImageResult:
    """TODO measurement."""
    columns: dict[str, Any] = {
        "label": np.concatenate([f.objects.identity + f.offset for f in found]),
        "volume_um3": np.concatenate([f.objects.voxels * plan.voxel_size.volume for f in found]),
    }
    results.write_table(columns)
    uris = results.uris()
    return ImageResult(
        uri=uri,
        labels_uri=labels.uri,
        table_uri=uris.table,
        overview_uri=uris.overview,
        provenance_uri=uris.provenance,
        nuclei=len(columns["label"]),
        median_volume_um3=float(np.median(columns["volume_um3"])) if len(columns["label"]) else 0.0,
    )
