"""`noyau train`: make a model from annotated and synthetic images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line
from noyau.domain.errors import InvalidInput


def train(
    out: Annotated[Path, typer.Argument(help="Folder for checkpoints, metrics and the model package.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    data: Annotated[
        list[str] | None, typer.Option(help="npz pairs (image, labels): files, folders or patterns; may be repeated.")
    ] = None,
    ndim: Annotated[int, typer.Option(min=2, max=3, help="Dimensions of the model.")] = 3,
    voxel_size: options.VoxelSizeText = None,
    minutes: Annotated[float | None, typer.Option(help="Wall-clock budget.")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget of optimiser steps.")] = None,
    val: Annotated[
        list[str] | None,
        typer.Option(help="Pattern of file names kept for validation, e.g. 'Emb10_*'; may be repeated."),
    ] = None,
    val_percent: Annotated[int, typer.Option(min=0, max=90, help="Further share of files kept for validation.")] = 0,
    synthetic: Annotated[
        list[str] | None, typer.Option(help="Synthetic npz pairs, never validated on; may be repeated.")
    ] = None,
    synthetic_count: Annotated[int, typer.Option(min=0, help="Synthetic pairs to make for this run.")] = 0,
    synthetic_fraction: Annotated[float, typer.Option(help="Share of patches from synthetic pairs, 0 to 1.")] = 0.0,
    patch: Annotated[str | None, typer.Option(metavar="[Z,]Y,X", help="Training patch in voxels.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Patches per step.")] = 2,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 3e-3,
    seed: Annotated[int, typer.Option(help="Decides the initial weights and every patch.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 leaves the choice to the library.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    validate_every: Annotated[int, typer.Option(min=0, help="Steps between validations; 0 for none.")] = 0,
    checkpoint_minutes: Annotated[float, typer.Option(min=0.01, help="Minutes between checkpoints.")] = 4.0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model; Ctrl-C stops it, and --resume goes on from the last checkpoint."""
    with told(json):
        size = options.parse_voxel_size(voxel_size)
        voxels = options.parse_tile(patch)
        if not (data or synthetic or synthetic_count):
            raise InvalidInput("The training has no data.", "Give --data, --synthetic or --synthetic-count.")
        from noyau.pipelines.train import PACKAGE_FOLDER, run_training
        from noyau.training.config import TrainConfig

        config = TrainConfig(name=name, ndim=ndim, data=tuple(data or ()), out=out, minutes=minutes, max_steps=steps)
        config = replace(config, synthetic=tuple(synthetic or ()), synthetic_count=synthetic_count)
        config = replace(config, synthetic_fraction=synthetic_fraction, val=tuple(val or ()), val_percent=val_percent)
        config = replace(config, patch=() if voxels is None else voxels[3 - ndim :], batch=batch, lr=lr, seed=seed)
        config = replace(config, threads=threads, device=device, validate_every=validate_every, resume=resume)
        spacing = None if size is None else (size.z, size.y, size.x)
        config = replace(config, voxel_size=spacing, checkpoint_minutes=checkpoint_minutes)
        with ProgressView(enabled=not quiet) as view, view.stopping_gently():
            result = run_training(config, view)
        folder = out.absolute() / PACKAGE_FOLDER
        if json:
            show_json({"package": folder, "steps": result.step, "seconds": result.elapsed})
            return
        show_line(f"{result.step} steps in {result.elapsed / 60:.1f} minutes; the model is in {folder}")
        show_line(f"Use it with NOYAU_MODELS='[\"{folder}\"]' and --model {name}")
