"""`noyau bench`: how fast it is on this machine, and how much memory it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noyau.commands import bench_options, options
from noyau.commands.bench_few_labels import FEW_LABELS, bench_few_labels, few_labels_of
from noyau.commands.bench_models import MODELS, bench_models, trial_of
from noyau.commands.bench_robustness import ROBUSTNESS, bench_robustness, robustness_of
from noyau.commands.bench_soak import SOAK, bench_soak
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table


def bench(
    which: Annotated[
        list[str] | None,
        typer.Argument(
            help="network, stages, decoders, pipeline, memory (default: these), or models (decoders and networks), or "
            "few-labels (what labelled crops are worth), or robustness (what other cameras cost), or soak "
            "(many jobs under kills)."
        ),
    ] = None,
    model: bench_options.Model = "nuclei-3d",
    memory_voxels: Annotated[
        list[float] | None, typer.Option(help="Size of an image of `memory`, e.g. 1e8; may be repeated.")
    ] = None,
    pipeline_voxels: Annotated[float | None, typer.Option(help="Size of the image of `pipeline`, e.g. 16e6.")] = None,
    folder: bench_options.Folder = None,
    data: bench_options.Data = None,
    val: bench_options.Val = None,
    combine: bench_options.Combine = None,
    ndim: bench_options.Ndim = 3,
    voxel_size: options.VoxelSizeText = None,
    minutes: bench_options.Minutes = None,
    steps: bench_options.Steps = None,
    seed: bench_options.Seed = 0,
    threads: bench_options.Threads = 1,
    images: bench_options.Images = 8,
    inverted: bench_options.Inverted = False,
    table: bench_options.Table = None,
    jobs: bench_options.Jobs = 1000,
    kills: bench_options.Kills = 30,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure speed and memory side by side in one run; ratios say more than figures of one machine."""
    with told(json):
        size = options.parse_voxel_size(voxel_size)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        common = {"steps": steps, "seed": seed, "threads": threads, "images": images}
        if which and SOAK in which:
            bench_soak(which, jobs, kills, seed, folder, json, quiet)
            return
        if which and FEW_LABELS in which:
            setup = few_labels_of(which, data, val, model=model, voxel_size=size, inverted=inverted, **common)
            bench_few_labels(setup, folder, json, quiet)
            return
        if which and ROBUSTNESS in which:
            chosen = {"model": model, "voxel_size": size, "seed": seed, "threads": threads, "images": images}
            bench_robustness(robustness_of(which, data, val, **chosen), table, json, quiet)
            return
        if which and MODELS in which:
            spacing = None if size is None else (size.z, size.y, size.x)
            trial = trial_of(which, data, val, ndim=ndim, voxel_size=spacing, minutes=minutes, **common)
            bench_models(trial, combine, folder, table, json, quiet)
            return
        _measure_speed(which, model, memory_voxels, pipeline_voxels, folder, json, quiet)


def _measure_speed(
    which: list[str] | None,
    model: str,
    memory_voxels: list[float] | None,
    pipeline_voxels: float | None,
    folder: Path | None,
    json: bool,
    quiet: bool,
) -> None:
    """Measures speed and memory and shows the table."""
    from noyau.bench import NAMES, run
    from noyau.bench.run import MEMORY_VOXELS, PIPELINE_VOXELS
    from noyau.config import load_settings
    from noyau.models.registry import shipped_packages

    with ProgressView(enabled=not quiet) as view, view.stopping_gently():
        rows = run(
            which or NAMES,
            model=model,
            models=(*load_settings().models, shipped_packages()),
            memory_voxels=memory_voxels or MEMORY_VOXELS,
            pipeline_voxels=pipeline_voxels or PIPELINE_VOXELS,
            folder=folder,
            reporter=view,
        )
    if json:
        show_json({"rows": rows})
        return
    show_table(["bench", "what", "value", "unit", "note"], [(r.bench, r.name, r.value, r.unit, r.note) for r in rows])
    if rows:
        show_line(f"Measured on {rows[0].machine}.")
