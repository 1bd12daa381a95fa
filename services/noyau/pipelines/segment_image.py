"""One image from pixels to committed results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noyau.domain.geometry import Index3
from noyau.domain.image import ImageSource
from noyau.domain.jobs import ImageResult, SegmentSpec
from noyau.pipelines import scratch
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.frames import Frame
from noyau.pipelines.items import SegmentItem
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.places import open_source
from noyau.pipelines.provenance import now
from noyau.pipelines.report import FrameObjects
from noyau.pipelines.segment_frame import Workforce, find_nuclei
from noyau.pipelines.segment_results import Finisher, SegmentedFrame
from noyau.pipelines.segment_windows import WINDOW_UNIT
from noyau.pipelines.segment_write import shifted, write_frame
from noyau.pipelines.statistics import Intensity, measure_once
from noyau.planning.units import Unit, plan_units
from noyau.sinks import LabelSink
from noyau.storage.store import Store

DECODE_UNIT: Index3 = (64, 512, 512)
"""Size wanted of a unit: large against the decoder's halo, small against the memory."""


@dataclass(frozen=True)
class ImageJob:
    """One image under way: what its steps share."""

    spec: SegmentSpec
    planned: SegmentItem
    work: Workforce
    context: PipelineContext
    book: UnitBook

    @property
    def folder(self) -> Path:
        """Scratch of this image."""
        return self.context.workdir / f"image{self.planned.item.number}"

    @property
    def times(self) -> range:
        """The time points to segment."""
        first, last = self.planned.item.ref.time or (0, self.planned.plan.info.times - 1)
        return range(first, last + 1)

    def run(self) -> ImageResult:
        """Segments the image; what an earlier attempt of the same job finished is not done again."""
        item, spec, context = self.planned.item, self.spec, self.context
        labels = LabelSink.create(
            item.target,
            spec.labels,
            like=self.planned.plan.info,
            access=context.access,
            job=context.job_id,
            image=item.image,
            level=item.ref.level,
            overwrite=spec.overwrite,
        )
        if labels.committed:
            labels.commit()
            return committed_result(item.target, spec.labels, context)
        with open_source(item.ref, context, voxel_size=spec.voxel_size, fill_missing=spec.fill_missing) as source:
            started = now()
            frames = self._frames(source, labels)
            finisher = Finisher(spec, self.planned, context, self.work.backend, self.work.threads)
            result = finisher.finish(source, labels, frames, started)
        scratch.remove(self.folder)
        return result

    def _frames(self, source: ImageSource, labels: LabelSink) -> list[SegmentedFrame]:
        """Segments the time points that were asked for; the others stay empty."""
        wanted = DECODE_UNIT if self.planned.plan.decoder is None else WINDOW_UNIT
        units = plan_units(labels.shape, labels.unit, wanted)
        frames: list[SegmentedFrame] = []
        offset = 0
        for time in range(labels.times):
            if time not in self.times:
                labels.clear(time)
                continue
            frames.append(self._segment(self._frame(source, units, time), labels, offset))
            offset += len(frames[-1].voxels)
        return frames

    def _frame(self, source: ImageSource, units: tuple[Unit, ...], time: int) -> Frame:
        prefix = f"{self.planned.item.number}/{time}/{self.planned.plan.signature}"
        return Frame(
            source=source,
            time=time,
            plan=self.planned.plan,
            units=units,
            intensity=self._intensity(source, time),
            folder=self.folder / f"time{time}-{self.planned.plan.signature}",
            prefix=prefix,
        )

    def _intensity(self, source: ImageSource, time: int) -> Intensity:
        """The normalisation values."""
        self.context.reporter.stage("read")
        plan = self.planned.plan
        prefix = f"{self.planned.item.number}/{time}/{plan.exposure}"
        return measure_once(source, time, plan.model.normalisation, self.book, prefix, self.context.reporter)

    def _segment(self, frame: Frame, labels: LabelSink, offset: int) -> SegmentedFrame:
        """Finds the nuclei of a frame and writes their labels, offset + 1 and on."""
        reporter = self.context.reporter
        reporter.stage("predict")

        def advance(done: int, total: int) -> None:
            reporter.progress(done, total, "tile")

        found = find_nuclei(frame, self.work, self.book, reporter.check, advance)
        reporter.stage("write")
        write_frame(
            frame,
            shifted(found.numbering, offset),
            labels,
            self.work.executor,
            orders=self.work.orders,
            threads=self.work.threads,
            book=self.book,
            check=reporter.check,
        )
        scratch.remove(frame.folder / "predict")
        objects = FrameObjects.of(frame.time, found.objects, offset)
        return SegmentedFrame(frame.intensity, objects, found.objects.voxels)


def committed_result(target: str, name: str, context: PipelineContext) -> ImageResult:
    """The result of an image that an earlier attempt of this job committed, from its provenance."""
    document: dict[str, Any] = Store(context.access.check(target)).read_json(f"noyau/{name}/provenance.json") or {}
    return ImageResult(**document["result"])
