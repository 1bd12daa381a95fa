"""`noyau train`: make a model from annotated and synthetic images, in this process or as a job of a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noyau.commands import options
from noyau.commands import train_options as given
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.running import Run, run_job
from noyau.commands.showing import show_json, show_line
from noyau.commands.train_options import TrainOptions


@with_credentials
def train(
    out: given.Out = None,
    name: given.Name = "",
    data: given.Data = None,
    parent: given.Parent = None,
    mode: given.Mode = None,
    ndim: given.Ndim = None,
    voxel_size: options.VoxelSizeText = None,
    minutes: given.Minutes = None,
    steps: given.Steps = None,
    val: given.Val = None,
    val_percent: given.ValPercent = 0,
    synthetic: given.Synthetic = None,
    synthetic_count: given.SyntheticCount = 0,
    synthetic_fraction: given.SyntheticFraction = 0.0,
    settle: given.Settle = None,
    fragment: given.Fragment = None,
    patch: given.Patch = None,
    batch: given.BatchSize = None,
    lr: given.Rate = None,
    setting: given.Settings = None,
    seed: given.Seed = 0,
    threads: given.Threads = None,
    device: given.Device = None,
    processes: given.Processes = 1,
    validate_every: given.ValidateEvery = None,
    checkpoint_minutes: given.CheckpointMinutes = None,
    labels: given.Labels = "nuclei",
    on_bad_pair: given.BadPair = "stop",
    alias: given.Alias = None,
    description: given.Description = "",
    licence: given.Licence = "",
    resume: given.Resume = False,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    priority: given.Priority = 0,
    group: given.Group = "",
    key: given.Key = "",
    detach: given.Detach = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model as a job that registers it or, with OUT, in this process (Ctrl-C stops, --resume goes on)."""
    everything = dict(locals())
    with told(json):
        asked = TrainOptions(**{field: everything[field] for field in TrainOptions.__dataclass_fields__})
        asked.check()
        options.refuse_detached_private(detach, local)
        spec = asked.spec()
    if out is None:
        run_job(spec, Run(server, local, credentials, json, quiet, detach, priority, group, key))
    else:
        with told(json):
            _train_here(asked, out, json, quiet)


def _train_here(asked: TrainOptions, out: Path, json: bool, quiet: bool) -> None:
    """Trains in this process and leaves the package in the folder."""
    from noyau.pipelines.train import PACKAGE_FOLDER, run_training
    from noyau.training.overrides import build_config, merge

    values = asked.values()
    if asked.parent is not None:
        values.update(_heritage(_package_of(asked.parent), asked))
    config = build_config(merge(values, asked.overrides()))
    with ProgressView(enabled=not quiet) as view, view.stopping_gently():
        result = run_training(config, view)
    folder = out.absolute() / PACKAGE_FOLDER
    if json:
        show_json({"package": folder, "steps": result.step, "seconds": result.elapsed})
        return
    show_line(f"{result.step} steps in {result.elapsed / 60:.1f} minutes; the model is in {folder}")
    show_line(f"Use it with NOYAU_MODELS='[\"{folder}\"]' and --model {asked.name}")


def _heritage(package: Path, asked: TrainOptions) -> dict[str, Any]:
    """The parent, and what it decides where nothing else was asked for."""
    from noyau.models.description import read_info
    from noyau.training.heritage import inherited

    info = read_info(package)
    values = {**inherited(info), "parent": package, "ndim": asked.ndim or info.ndim}
    if asked.voxel_size is None and info.voxel_size is not None:
        values["voxel_size"] = tuple(info.voxel_size)
    return values


def _package_of(parent: str) -> Path:
    """The folder of a package, by its path or by the model's name."""
    from noyau.config import load_settings
    from noyau.models.description import MODEL_FILE
    from noyau.wiring import model_registry

    if (Path(parent) / MODEL_FILE).is_file():
        return Path(parent)
    return model_registry(load_settings()).folder(parent)
