"""Training as a pipeline: files in, checkpoints, metrics and averaged weights out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import IO, Any

from noyau.domain.errors import NoyauError
from noyau.domain.geometry import VoxelSize
from noyau.domain.model import ModelInfo
from noyau.domain.progress import Reporter
from noyau.models.networks import build
from noyau.models.package import read_package, write_package
from noyau.pipelines.train_validation import image_validator
from noyau.training.batches import BatchSource
from noyau.training.config import TrainConfig
from noyau.training.dataset import find_files, load_pairs, split_files
from noyau.training.export import describe, plain_card
from noyau.training.loop import Loop, TrainResult, Validator
from noyau.training.synthetic_set import make_synthetic_set
from noyau.training.validation import crop_validator

PACKAGE_FOLDER = "package"
FIRST_VERSION = "1"
LOG_NAME = "metrics.jsonl"


def run_training(config: TrainConfig, reporter: Reporter, validator: Validator | None = None) -> TrainResult:
    """Trains one network and leaves a model package with its averaged weights in `config.out`.

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
    train_files, val_files = split_files(find_files(config.data), config.val, config.val_percent)
    synthetic_files = _synthetic_files(config, reporter)
    parent = None if config.parent is None else _parent_weights(config.parent)
    reporter.stage("read")
    _write_split(config.out, train_files, val_files, synthetic_files)
    params = config.normalisation
    real = load_pairs(train_files, config.ndim, params, config.fragment)
    synthetic = load_pairs(synthetic_files, config.ndim, params)
    reporter.log(f"{len(real)} real and {len(synthetic)} synthetic images, {len(val_files)} for validation")
    if validator is None and val_files and config.validate_every:
        validator = _default_validator(config, val_files)
    with (config.out / LOG_NAME).open("a") as log:
        logged = _LoggedReporter(reporter, log)
        source = BatchSource(config, real, synthetic)
        result = Loop(config, source, logged, validator, parent=parent).run()
    reporter.stage("package")
    package_run(config, result)
    return result


def package_run(config: TrainConfig, result: TrainResult) -> ModelInfo:
    """Writes `out/package/<name>/<version>`, a folder that a model registry can serve."""
    network = result.network
    info = describe(config, network, FIRST_VERSION, result.step, result.elapsed)
    folder = config.out / PACKAGE_FOLDER / config.name / FIRST_VERSION
    return write_package(folder, info, network.state_dict(), plain_card(info))


def _parent_weights(folder: Path) -> dict[str, Any]:
    """Tensors of a model package by name, checked against its digest."""
    return dict(read_package(folder).network.state_dict())


def _default_validator(config: TrainConfig, files: list[Path]) -> Validator:
    """Figures on fixed crops and on whole images of a part of the validation set, spread evenly over it."""
    limit = config.val_limit or len(files)
    pairs = load_pairs(files[:: max(1, len(files) // limit)][:limit], config.ndim, config.normalisation)
    description = describe(config, build(config.architecture, config.network_arguments), FIRST_VERSION, 0, 0.0)
    crops = crop_validator(BatchSource(config, pairs), 2 * len(pairs))
    return image_validator(pairs, description, crops)


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


class _LoggedReporter:
    """Passes everything on and keeps the metrics as JSON lines beside the checkpoint."""

    def __init__(self, inner: Reporter, log: IO[str]) -> None:
        self._inner, self._log, self._begun = inner, log, time.monotonic()

    def stage(self, name: str) -> None:
        self._inner.stage(name)

    def progress(self, done: float, total: float, unit: str) -> None:
        self._inner.progress(done, total, unit)

    def log(self, message: str, level: str = "info") -> None:
        self._inner.log(message, level)

    def metric(self, name: str, value: float) -> None:
        seconds = round(time.monotonic() - self._begun, 1)
        self._log.write(json.dumps({"t": seconds, "name": name, "value": float(f"{value:.5g}")}) + "\n")
        self._log.flush()
        self._inner.metric(name, value)

    def check(self) -> None:
        try:
            self._inner.check()
        except NoyauError as stop:
            self._log.write(json.dumps({"stopped": str(stop)}) + "\n")
            raise
