"""Training as a command: files in, checkpoints, metrics and a package of averaged weights out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo
from noyau.domain.progress import Reporter
from noyau.models.package import read_package, write_package
from noyau.pipelines.train_data import TrainingData
from noyau.pipelines.train_decoder import with_chosen_vote
from noyau.pipelines.train_run import FIRST_VERSION, Origin, train_on
from noyau.training.config import TrainConfig
from noyau.training.dataset import find_files, load_pairs, split_files
from noyau.training.export import describe, plain_card
from noyau.training.fingerprint import Fingerprint, take_fingerprint
from noyau.training.history import LOG_NAME
from noyau.training.loop import TrainResult, Validator
from noyau.training.ranks import device_of_rank, join_ranks, leave_ranks
from noyau.training.synthetic_set import make_synthetic_set

__all__ = ["LOG_NAME", "PACKAGE_FOLDER", "run_training"]

PACKAGE_FOLDER = "package"


def run_training(config: TrainConfig, reporter: Reporter, validator: Validator | None = None) -> TrainResult:
    """Trains one network and leaves a model package with its averaged weights in `config.out`.

    Under torchrun every process calls this, and they share the batches; the first one writes.

    Args:
        config: the run; with `resume` it goes on from the checkpoint in `config.out`.
        reporter: receives stages, progress and metrics; its `check` may stop the run, which can then be resumed.
        validator: what to measure while training; None measures overlap and offsets on fixed crops, and F1 and SEG
            on whole images, of `config.val_limit` validation images every `config.validate_every` steps.

    Raises:
        NotFound, InvalidInput, DamagedData: the data is absent, does not fit or cannot be read.
        FailedPrecondition: the checkpoint or the device does not fit.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    config = replace(config, device=device_of_rank(config.device))
    ranks = join_ranks(config.device)
    try:
        if ranks.leads and not ranks.alone:
            _synthetic_files(config, reporter)
        # The others take what is there by now.
        ranks.barrier()
        data = _read(config, reporter, write=ranks.leads)
        parent = None if config.parent is None else read_package(config.parent)
        result = train_on(config, data, reporter, Origin(parent), validator=validator, ranks=ranks)
        if ranks.leads:
            reporter.stage("package")
            _package(config, result, None if parent is None else parent.info, data, reporter)
    finally:
        leave_ranks()
    return result


def _package(
    config: TrainConfig, result: TrainResult, parent: ModelInfo | None, data: TrainingData, reporter: Reporter
) -> ModelInfo:
    """Writes `out/package/<name>/<version>`, a folder that a model registry can serve.

    Args:
        config: the run.
        result: its end.
        parent: the model that it started from.
        data: what was learnt from, on the model's grid; decides the decoder's parameters.
        reporter: is told of that choice.
    """
    network = result.network
    info = describe(config, network, FIRST_VERSION, result.step, result.elapsed, parent=parent, found=_found(data))
    info = with_chosen_vote(info, network, (*data.leading, *data.validation), reporter)
    if result.changes:
        info = replace(info, training={**info.training, "changes": [dict(change) for change in result.changes]})
    folder = config.out / PACKAGE_FOLDER / config.name / FIRST_VERSION
    return write_package(folder, info, network.state_dict(), plain_card(info))


def _found(data: TrainingData) -> Fingerprint | None:
    """What the data looks like, where there is a nucleus in it."""
    return take_fingerprint(data.leading) if any(len(pair.objects.ids) for pair in data.leading) else None


def _read(config: TrainConfig, reporter: Reporter, *, write: bool) -> TrainingData:
    """All pairs of the run in memory, and a listing of them beside the checkpoints."""
    train, validation = split_files(find_files(config.data), config.val, config.val_percent)
    synthetic = _synthetic_files(config, reporter)
    reporter.stage("read")
    if write:
        _write_split(config.out, train, validation, synthetic)
    reporter.log(f"{len(train)} real and {len(synthetic)} synthetic images, {len(validation)} for validation")
    measured = validation if config.validate_every else []
    params = config.normalisation
    return TrainingData(
        tuple(load_pairs(train, config.ndim, params, config.fragment)),
        tuple(load_pairs(measured, config.ndim, params)),
        tuple(load_pairs(synthetic, config.ndim, replace(params, inverted=False))),
    )


def _synthetic_files(config: TrainConfig, reporter: Reporter) -> list[Path]:
    """Given synthetic pairs and those that the run makes for itself."""
    files = find_files(config.synthetic) if config.synthetic else []
    if config.synthetic_count:
        reporter.stage("synthesise")
        voxel_size = VoxelSize(*config.voxel_size) if config.voxel_size else None
        folder = config.out / "synthetic"
        files += make_synthetic_set(
            folder, config.ndim, config.synthetic_count, config.seed, reporter, voxel_size=voxel_size
        )
    return files


def _write_split(out: Path, train: list[Path], val: list[Path], synthetic: list[Path]) -> None:
    """Keeps on record which files were trained on; nobody can check a figure without it."""
    names = {"train": train, "validation": val, "synthetic": synthetic}
    listing = {k: [f"{p.parent.name}/{p.stem}" for p in v] for k, v in names.items()}
    (out / "split.json").write_text(json.dumps(listing, indent=1))
