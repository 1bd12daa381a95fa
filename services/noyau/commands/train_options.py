"""The options of `noyau train`, and what they ask for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from noyau.commands import options
from noyau.domain.errors import InvalidInput
from noyau.domain.training_jobs import OnBadPair, TrainMode, TrainSpec

MODES: tuple[TrainMode, ...] = ("scratch", "finetune", "pretrain")
WAYS: tuple[OnBadPair, ...] = ("stop", "skip")
# Options that are fields of the training configuration under the same name.
_FIELDS = ("settle", "fragment", "batch", "lr", "threads", "validate_every", "checkpoint_minutes")

Texts = list[str] | None
Out = Annotated[
    Path | None,
    typer.Argument(help="Train in this process, into this folder. Without it: train as a job and register the model."),
]
Name = Annotated[str, typer.Option(help="Name of the model.")]
Data = Annotated[
    Texts, typer.Option(help="npz pairs, image and label folders, OME-Zarr: files, folders, patterns. With OUT: npz.")
]
Parent = Annotated[
    str | None, typer.Option(help="Start from this model: name, name@version, name@alias, or (with OUT) its folder.")
]
Mode = Annotated[str | None, typer.Option(help="scratch, finetune or pretrain. Default: finetune with a parent.")]
Ndim = Annotated[int | None, typer.Option(min=2, max=3, help="Dimensions. Default: by the data; with OUT, 3.")]
Minutes = Annotated[float | None, typer.Option(help="Budget of training time.")]
Steps = Annotated[int | None, typer.Option(help="Budget of optimiser steps. Default of a job: by the data.")]
Val = Annotated[Texts, typer.Option(help="Pattern of names kept for validation, e.g. 'Emb10_*'; may be repeated.")]
ValPercent = Annotated[int, typer.Option(min=0, max=90, help="Further share kept for validation.")]
Synthetic = Annotated[Texts, typer.Option(help="With OUT: synthetic npz pairs, never validated on; may be repeated.")]
SyntheticCount = Annotated[int, typer.Option(min=0, help="Synthetic pairs to make for this run.")]
SyntheticFraction = Annotated[float, typer.Option(help="Share of patches from synthetic pairs, 0 to 1.")]
Settle = Annotated[
    float | None, typer.Option(help="What is left of the synthetic and of the widely zoomed share at the last step.")
]
Fragment = Annotated[int | None, typer.Option(help="Objects of fewer voxels are neither nucleus nor background.")]
Patch = Annotated[str | None, typer.Option(metavar="[Z,]Y,X", help="Training patch in voxels.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Patches per step and process.")]
Rate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
Settings = Annotated[
    Texts, typer.Option("--set", metavar="NAME=VALUE", help="Any training setting, e.g. augment.noise=0.3; repeatable.")
]
Seed = Annotated[int, typer.Option(help="Decides the initial weights and every patch.")]
Threads = Annotated[int | None, typer.Option(min=0, help="Threads; 0 leaves the choice to the library.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Default: auto; with OUT, cpu.")]
Processes = Annotated[int, typer.Option(min=1, help="Processes of a job that share the work, one per GPU.")]
ValidateEvery = Annotated[int | None, typer.Option(min=0, help="Steps between validations; 0 for none.")]
CheckpointMinutes = Annotated[float | None, typer.Option(min=0.0, help="Minutes between checkpoints.")]
Labels = Annotated[str, typer.Option(help="Label group of OME-Zarr images.")]
BadPair = Annotated[str, typer.Option(help="A pair that cannot be used: stop, or skip it and name it.")]
Alias = Annotated[str | None, typer.Option(help="Alias of the new version, e.g. production.")]
Description = Annotated[str, typer.Option(help="For the model's card.")]
Licence = Annotated[str, typer.Option(help="Licence of the model, for its card.")]
Resume = Annotated[bool, typer.Option("--resume", help="With OUT: go on from the checkpoint there.")]
Priority = Annotated[int, typer.Option(help="Higher runs first within its group.")]
Group = Annotated[str, typer.Option(help="Group that the job is counted for.")]
Key = Annotated[str, typer.Option(help="Idempotency key: the same key again gives the same job.")]
Detach = Annotated[bool, typer.Option("--detach", help="Print the job's id and do not wait for it.")]


@dataclass(frozen=True)
class TrainOptions:
    """What was given on the command line; see the types above for the meaning of each."""

    out: Path | None
    name: str
    data: Texts
    parent: str | None
    mode: str | None
    ndim: int | None
    voxel_size: str | None
    minutes: float | None
    steps: int | None
    val: Texts
    val_percent: int
    synthetic: Texts
    synthetic_count: int
    synthetic_fraction: float
    settle: float | None
    fragment: int | None
    patch: str | None
    batch: int | None
    lr: float | None
    setting: Texts
    seed: int
    threads: int | None
    device: str | None
    processes: int
    validate_every: int | None
    checkpoint_minutes: float | None
    labels: str
    on_bad_pair: str
    alias: str | None
    description: str
    licence: str
    resume: bool

    def check(self) -> None:
        """Raises InvalidInput for options that are missing or do not go together."""
        if not self.name:
            raise InvalidInput("The model has no name.", "Give one with --name.")
        if not (self.data or self.synthetic or self.synthetic_count):
            raise InvalidInput("The training has no data.", "Give --data, --synthetic or --synthetic-count.")
        if self.out is None and (self.synthetic or self.resume):
            raise InvalidInput(
                "--synthetic and --resume are for training into a folder.",
                "Name the folder; a job makes its own synthetic pairs (--synthetic-count) and resumes by itself.",
            )
        if self.out is not None and (self.processes > 1 or self.alias or self.mode):
            raise InvalidInput(
                "--processes, --alias and --mode are for jobs.", "Leave out the folder to train as a job."
            )

    def spec(self) -> TrainSpec:
        """The request for a job."""
        return TrainSpec(
            name=self.name,
            data=tuple(options.absolute(uri) for uri in self.data or ()),
            parent=self.parent,
            mode=_one_of(self.mode or ("scratch" if self.parent is None else "finetune"), MODES, "mode"),
            ndim=self.ndim,
            voxel_size=options.parse_voxel_size(self.voxel_size),
            val=tuple(self.val or ()),
            val_percent=self.val_percent,
            minutes=self.minutes,
            steps=self.steps,
            synthetic_count=self.synthetic_count,
            synthetic_fraction=self.synthetic_fraction,
            overrides=self.overrides(),
            labels=self.labels,
            device=self.device or "auto",
            processes=self.processes,
            seed=self.seed,
            on_bad_pair=_one_of(self.on_bad_pair, WAYS, "way with bad pairs"),
            alias=self.alias,
            description=self.description,
            licence=self.licence,
        )

    def values(self) -> dict[str, Any]:
        """Values of the training configuration for a run in this process, without the overrides."""
        size = options.parse_voxel_size(self.voxel_size)
        return {
            "name": self.name,
            "ndim": self.ndim or 3,
            "data": self.data or [],
            "out": self.out,
            "synthetic": self.synthetic or [],
            "synthetic_count": self.synthetic_count,
            "synthetic_fraction": self.synthetic_fraction,
            "val": self.val or [],
            "val_percent": self.val_percent,
            "minutes": self.minutes,
            "max_steps": self.steps,
            "seed": self.seed,
            "device": self.device or "cpu",
            "resume": self.resume,
            "voxel_size": None if size is None else tuple(size),
        }

    def overrides(self) -> dict[str, Any]:
        """Settings that were given, by the names of the training configuration."""
        given = {name: getattr(self, name) for name in _FIELDS if getattr(self, name) is not None}
        patch = options.parse_tile(self.patch)
        if patch is not None and self.patch is not None:
            given["patch"] = list(patch[3 - len(self.patch.split(",")) :])
        return {**given, **parse_settings(self.setting or [])}


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """`name=value` texts as values: JSON where it is JSON, else the text itself.

    Raises:
        InvalidInput: a text without name or `=`.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise InvalidInput(f"'{text}' is no setting.", "Write for example --set augment.noise=0.3.")
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value
    return found


def _one_of(text: str, known: tuple[Any, ...], what: str) -> Any:
    if text not in known:
        raise InvalidInput(f"'{text}' is no {what}.", f"Known are {', '.join(known)}.")
    return text
