"""Which crops to annotate next: those that the model is unsure about and that are unlike each other.

Every crop is shown to the model in several views (mirrored, transposed, brighter, dimmer). Where the answers differ, an
annotation teaches most (query by committee, Seung et al. 1992, with views of one network as the committee). The
crops are written with the model's own labels, to be corrected; the folder is a dataset for the next fine-tuning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from noyau.domain.errors import InvalidInput, NoyauError
from noyau.domain.geometry import VoxelSize
from noyau.domain.image import ImageRef
from noyau.domain.jobs import JobResult, SegmentSpec
from noyau.domain.model import ModelInfo
from noyau.domain.omero_uri import is_omero
from noyau.domain.training_jobs import SuggestSpec
from noyau.inference.selection import choose as choose_device
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.ledgers import UnitBook
from noyau.pipelines.networks import find_model
from noyau.pipelines.places import expand_places, open_source
from noyau.pipelines.prepare import plan_image
from noyau.pipelines.statistics import Intensity, measure_once
from noyau.pipelines.suggest_crops import MOST_CROPS, Crop, crops_of
from noyau.pipelines.suggest_measure import Judge, from_payload, to_payload
from noyau.pipelines.suggest_output import Suggestion, SuggestionFolder, name_of
from noyau.pipelines.suggest_picture import Tile, draw_sheet, draw_tile
from noyau.pipelines.suggest_publication import check_suggestions, publish_suggestions, remove_suggestions
from noyau.training.suggestion_choice import choose

JUDGED = "judge"


def run(spec: SuggestSpec, context: PipelineContext) -> JobResult:
    """Ranks the images, or crops of them, and writes the suggestions.

    A restarted job does not look again at what it has judged.

    Raises:
        InvalidInput: there are no images or crops, or fewer than one suggestion is asked for.
        AlreadyExists: the output exists.
        NoyauError: any of them; the message names the image and what is wrong.
    """
    context.reporter.stage("prepare")
    folder = _folder(spec, context)
    folder.refuse_occupied()
    if is_omero(spec.output):
        check_suggestions(spec.output, spec.overwrite, context)
    if spec.count < 1:
        raise InvalidInput(f"{spec.count} suggestions cannot be made.", "Ask for one or more.")
    search = _Search(spec, context, UnitBook(context.ledger))
    crops = search.crops()
    context.reporter.stage("predict")
    judged = search.judged(crops)
    chosen = choose([u.score for u, _ in judged], [looks for _, looks in judged], spec.count)
    context.reporter.stage("write")
    folder.discard()
    suggestions, tiles = [], []
    for rank, index in enumerate(chosen, start=1):
        context.reporter.check()
        name = name_of(rank, crops[index], whole=spec.crop is None)
        suggestion = Suggestion(rank, crops[index], judged[index][0], name)
        tiles.append(search.write(suggestion, folder))
        suggestions.append(suggestion)
        context.reporter.progress(rank, len(chosen), "crop")
    models = search.models
    record = _record(spec, models, len(crops), context.job_id)
    picture = draw_sheet(tiles, f"{len(tiles)} of {len(crops)} worth annotating for {', '.join(m.ref for m in models)}")
    files = folder.finish(suggestions, record, picture)
    told: tuple[str, ...] = ()
    if is_omero(spec.output):
        files, told = publish_suggestions(
            spec.output, suggestions, record, folder.path, context, overwrite=spec.overwrite
        )
    return JobResult(
        model=", ".join(m.ref for m in models),
        model_digest=", ".join(m.digest for m in models),
        warnings=(*search.warnings, *_few(len(chosen), spec.count), *told),
        files=files,
    )


def cleanup(spec: SuggestSpec, context: PipelineContext) -> None:
    """Removes what a failed or cancelled job half wrote."""
    _folder(spec, context).discard()
    if is_omero(spec.output):
        with suppress(NoyauError):  # what cannot be reached has nothing that could be taken back
            places = [one.uri for place in spec.images for one in expand_places(place, context)]
            remove_suggestions(spec.output, places, context)


def _folder(spec: SuggestSpec, context: PipelineContext) -> SuggestionFolder:
    if is_omero(spec.output):
        # The folder is the job's own; from there the suggestions go to OMERO.
        return SuggestionFolder(str(context.workdir / "suggestions"), context.job_id, True, context.access)
    return SuggestionFolder(spec.output, context.job_id, spec.overwrite, context.access)


def _few(found: int, wanted: int) -> tuple[str, ...]:
    if found >= wanted:
        return ()
    return (f"Only {found} of {wanted} suggestions are worth making: the rest is empty or shows the same.",)


def _record(spec: SuggestSpec, models: list[ModelInfo], crops: int, job: str) -> dict[str, Any]:
    return {
        "job": job,
        "models": [{"model": m.ref, "digest": m.digest} for m in models],
        "looked_at": crops,
        "asked_for": spec.count,
        "crop": spec.crop,
        "labels": "predicted, to be corrected",
    }


@dataclass(frozen=True)
class _Item:
    """One image: its model and voxel size."""

    ref: ImageRef
    model: ModelInfo
    voxel_size: VoxelSize


class _Search:
    """The images of one job under way."""

    def __init__(self, spec: SuggestSpec, context: PipelineContext, book: UnitBook) -> None:
        self._spec, self._context, self._book = spec, context, book
        self._items: list[_Item] = []
        self.warnings: tuple[str, ...] = ()

    @property
    def models(self) -> list[ModelInfo]:
        """The models in use."""
        return list({item.model.ref: item.model for item in self._items}.values())

    def crops(self) -> list[Crop]:
        """All crops of all images; reads metadata only, and refuses what can be refused now."""
        spec, context = self._spec, self._context
        backend = choose_device(spec.device, "auto").backend
        found: list[Crop] = []
        for ref in [one for place in spec.images for one in expand_places(place, context)]:
            context.reporter.check()
            with open_source(ref, context, voxel_size=spec.voxel_size) as source:
                model = find_model(context.registry, spec.model, source.info)
                plan = plan_image(ref.uri, source.info, model, SegmentSpec((ref,)), context.limits, backend)
                found += crops_of(len(self._items), ref, source.info, spec.crop)
            self._items.append(_Item(ref, model, plan.voxel_size))
            self.warnings = tuple(dict.fromkeys((*self.warnings, *plan.warnings)))
            if len(found) > MOST_CROPS:
                raise InvalidInput(
                    f"There are more than {MOST_CROPS:,} crops to look at.", "Give larger crops, or fewer images."
                )
        if not found:
            raise InvalidInput("There is no image to look at.", "Give at least one image, plate, well or field.")
        return found

    def judged(self, crops: list[Crop]) -> list[Any]:
        """(Uncertainty, Descriptor) of every crop, in order."""
        known = self._book.finished(JUDGED, "crops")
        results: dict[str, Any] = {key: from_payload(payload) for key, payload in known.items()}
        for done, crop in enumerate(crops, start=1):
            self._context.reporter.check()
            if crop.key not in results:
                with self._judge(crop) as judge:
                    results[crop.key] = judge.judge(crop, self._intensity(judge, crop))
                self._book.mark(JUDGED, "crops", crop.key, to_payload(*results[crop.key]))
            self._context.reporter.progress(done, len(crops), "crop")
        return [results[crop.key] for crop in crops]

    def write(self, suggestion: Suggestion, folder: SuggestionFolder) -> Tile:
        """Writes one suggestion and draws its part of the picture."""
        crop = suggestion.crop
        with self._judge(crop) as judge:
            pixels, labels = judge.labels(crop, self._intensity(judge, crop))
            known = judge.source.info.voxel_size
        folder.write_crop(suggestion.file, pixels, labels, known)
        score = f"{suggestion.rank}.  unsure {suggestion.uncertainty.score:.2f}, {int(labels.max())} nuclei"
        return draw_tile(pixels, labels, score, suggestion.file)

    @contextmanager
    def _judge(self, crop: Crop) -> Iterator[Judge]:
        item, spec = self._items[crop.number], self._spec
        with open_source(crop.ref, self._context, voxel_size=spec.voxel_size) as source:
            yield Judge(item.model, source, item.voxel_size, spec.device, self._context)

    def _intensity(self, judge: Judge, crop: Crop) -> Intensity:
        """What normalises a time point of an image; measured once per job."""
        params, prefix = self._items[crop.number].model.normalisation, f"{crop.number}-{crop.time}"
        return measure_once(judge.source, crop.time, params, self._book, prefix, self._context.reporter)
