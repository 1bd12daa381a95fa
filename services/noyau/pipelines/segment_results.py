"""The end of an image: pyramid, table, picture, provenance, and the switch that makes all of it visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noyau.domain.image import ImageSource
from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.inference.backend import Backend
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.picture import draw_overview
from noyau.pipelines.provenance import segment_provenance
from noyau.pipelines.report import FrameObjects, measure_frames, median, size_column
from noyau.pipelines.statistics import Intensity
from noyau.sinks import LabelSink, ResultSink
from noyau.sinks.results import PROVENANCE


@dataclass(frozen=True)
class SegmentedFrame:
    """A time point whose labels are written.

    Attributes:
        intensity: what normalised it.
        objects: its nuclei by their labels.
        voxels: size of each nucleus, in the order of the labels.
    """

    intensity: Intensity
    objects: FrameObjects
    voxels: np.ndarray


@dataclass(frozen=True)
class Finisher:
    """Writes what belongs to the labels of one image and commits.

    Attributes:
        spec: the request.
        planned: the image and its plan.
        context: of the job.
        backend: what ran the network.
        threads: threads for measuring.
    """

    spec: SegmentSpec
    planned: SegmentItem
    context: PipelineContext
    backend: Backend
    threads: int

    def finish(
        self, source: ImageSource, labels: LabelSink, frames: Sequence[SegmentedFrame], started: str
    ) -> ImageResult:
        """Completes and commits the results of an image whose labels are all written."""
        reporter, item = self.context.reporter, self.planned.item
        reporter.stage("pyramid")
        labels.build_pyramid(reporter.check)
        results = ResultSink.create(
            item.target,
            self.spec.labels,
            access=self.context.access,
            job=self.context.job_id,
            image=item.image,
            overwrite=self.spec.overwrite,
        )
        sizes = self._table(source, labels, results, frames) if self.spec.measure else self._sizes(frames)
        results.write_overview(self._picture(source, labels, frames, sizes))
        result = self._result(labels, results, sizes)
        document = segment_provenance(
            job_id=self.context.job_id,
            spec=self.spec,
            plan=self.planned.plan,
            backend=self.backend,
            intensities={frame.objects.time: frame.intensity for frame in frames},
            result=result,
            started=started,
        )
        results.write_provenance(document)
        reporter.check()
        results.commit()
        labels.commit(document, labels=range(1, result.nuclei + 1))
        return result

    def _table(
        self, source: ImageSource, labels: LabelSink, results: ResultSink, frames: Sequence[SegmentedFrame]
    ) -> np.ndarray:
        """Measures and writes the table; returns the sizes of the nuclei in physical units."""
        plan = self.planned.plan
        self.context.reporter.stage("measure")
        table = measure_frames(
            source,
            lambda box, time: labels.read(box, time=time),
            [frame.objects for frame in frames],
            plan.voxel_size,
            channels=range(len(source.info.channels)),
            threads=self.threads,
            reporter=self.context.reporter,
        )
        model = plan.model
        made = {"model": model.ref, "model_digest": model.digest, "job": self.context.job_id}
        results.write_table(table.columns, made)
        return size_column(table)

    def _picture(
        self, source: ImageSource, labels: LabelSink, frames: Sequence[SegmentedFrame], sizes: np.ndarray
    ) -> bytes:
        """The overview of the first time point, with the sizes of its nuclei."""
        self.context.reporter.stage("picture")
        return draw_overview(
            source,
            lambda box, time: labels.read(box, time=time),
            self.planned.plan.voxel_size,
            time=frames[0].objects.time,
            sizes=sizes[: len(frames[0].voxels)],
            note=self.planned.plan.model.ref,
            reporter=self.context.reporter,
        )

    def _sizes(self, frames: Sequence[SegmentedFrame]) -> np.ndarray:
        size = self.planned.plan.voxel_size
        unit = size.y * size.x if self.planned.plan.info.is_2d else size.volume
        return np.concatenate([frame.voxels for frame in frames]) * unit

    def _result(self, labels: LabelSink, results: ResultSink, sizes: np.ndarray) -> ImageResult:
        uris = results.uris()
        return ImageResult(
            uri=self.planned.item.ref.uri,
            labels_uri=labels.uri,
            table_uri=uris.csv,
            overview_uri=uris.overview,
            provenance_uri=provenance_uri(labels.uri, self.spec.labels),
            nuclei=len(sizes),
            median_volume_um3=median(sizes),
            flat=self.planned.plan.info.is_2d,
        )


def provenance_uri(labels_uri: str, name: str) -> str:
    """Where the provenance of a label group lies."""
    return f"{labels_uri.removesuffix(f'labels/{name}')}noyau/{name}/{PROVENANCE}"
