"""What a training job learns from: pairs that were found, checked, split and read, and synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from noyau.domain.access import AccessPolicy
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import Normalisation
from noyau.domain.progress import Reporter
from noyau.domain.training_jobs import TrainSpec
from noyau.pipelines.datasets import open_pairs
from noyau.training.config import TrainConfig
from noyau.training.data import Dataset, PairRef, Problem, Split, dataset_record, split_dataset
from noyau.training.dataset import Pair, load_pairs
from noyau.training.regrid import fit_pair
from noyau.training.synthetic_set import make_synthetic_set

# With so many pairs, a share of them is held back to measure with, unless the user decides otherwise.
_ENOUGH_TO_SHARE = 5
_FEW = 20
_SHARE, _SHARE_OF_FEW = 20, 10
_MOST_NAMED = 10


@dataclass(frozen=True)
class TrainingData:
    """Pairs in memory.

    Attributes:
        train, validation: annotated pairs.
        synthetic: generated pairs.
        record: of the dataset, for the model's package; empty where all data is synthetic.
        warnings: what the user should know.
    """

    train: tuple[Pair, ...] = ()
    validation: tuple[Pair, ...] = ()
    synthetic: tuple[Pair, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def leading(self) -> tuple[Pair, ...]:
        """The pairs that decide the configuration: annotated ones, else synthetic ones."""
        return self.train or self.synthetic

    def fitted(self, config: TrainConfig) -> TrainingData:
        """On the grid of the model, with the normalisation of the run."""

        def fit(pair: Pair) -> Pair:
            return fit_pair(pair, config.voxel_size, config.normalisation, config.fragment)

        # Synthetic nuclei are bright, whatever those of the data are.
        bright = replace(config.normalisation, inverted=False)
        synthetic = tuple(fit_pair(pair, None, bright) for pair in self.synthetic)
        return replace(
            self, train=tuple(map(fit, self.train)), validation=tuple(map(fit, self.validation)), synthetic=synthetic
        )


def read_data(spec: TrainSpec, ndim: int | None, access: AccessPolicy, reporter: Reporter) -> TrainingData:
    """Finds, checks, splits and reads the datasets of a job; the pairs come on their own grid.

    Args:
        spec: names the datasets and what is validated on.
        ndim: of the model; None goes by the data.
        access: where data may live.
        reporter: takes progress and what was found.

    Raises:
        NoyauError: what `open_pairs` and `split_dataset` raise.
    """
    if not spec.data:
        return TrainingData()
    dataset = open_pairs(
        spec.data,
        access=access,
        ndim=ndim,
        labels=spec.labels,
        on_bad=spec.on_bad_pair,
        labelled=spec.mode != "pretrain",
        reporter=reporter,
    )
    split = _split(spec, dataset)
    warnings = _told((*dataset.problems, *split.problems), reporter)
    reporter.stage("read")
    train, validation = _load(split.train, reporter), _load(split.val, reporter)
    reporter.log(f"{len(train)} pairs to train on, {len(validation)} to validate on")
    return TrainingData(train, validation, record=dataset_record(dataset, split), warnings=warnings)


def with_synthetic(data: TrainingData, spec: TrainSpec, config: TrainConfig, reporter: Reporter) -> TrainingData:
    """Adds the synthetic pairs of a run; those that an interrupted run has made are taken as they are."""
    if not spec.synthetic_count:
        return data
    reporter.stage("synthesise")
    voxel_size = VoxelSize(*config.voxel_size) if config.voxel_size else None
    files = make_synthetic_set(
        Path(config.out) / "synthetic", config.ndim, spec.synthetic_count, spec.seed, reporter, voxel_size=voxel_size
    )
    return replace(data, synthetic=tuple(load_pairs(files, config.ndim, config.normalisation)))


def _split(spec: TrainSpec, dataset: Dataset) -> Split:
    if spec.mode == "pretrain":
        return split_dataset(dataset)  # there is nothing to measure with
    percent = spec.val_percent
    if not spec.val and not percent and "val_percent" not in spec.overrides and len(dataset.pairs) >= _ENOUGH_TO_SHARE:
        # Each of a few is missed in training, and what one or three of them measure is rough in any case.
        percent = _SHARE if len(dataset.pairs) >= _FEW else _SHARE_OF_FEW
    return split_dataset(dataset, spec.val, percent, spec.on_bad_pair)


def _load(refs: Sequence[PairRef], reporter: Reporter) -> tuple[Pair, ...]:
    pairs = []
    for done, ref in enumerate(refs, start=1):
        reporter.check()
        pairs.append(replace(ref.load(Normalisation()), voxel_size=ref.found.voxel_size))
        reporter.progress(done, len(refs), "pair")
    return tuple(pairs)


def _told(problems: Sequence[Problem], reporter: Reporter) -> tuple[str, ...]:
    """Tells all problems as events; errors and warnings are kept for the result."""
    for problem in problems:
        reporter.log(str(problem), "info" if problem.severity == "note" else "warning")
    serious = [problem.cause for problem in problems if problem.severity != "note"]
    left = len(serious) - _MOST_NAMED
    return tuple(serious[:_MOST_NAMED] + ([f"{left} further problems are in the job's events."] if left > 0 else []))
