"""`noyau bench`: how fast it is on this machine, and how much memory it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table


def bench(
    which: Annotated[
        list[str] | None, typer.Argument(help="network, stages, pipeline and memory. Default: all of them.")
    ] = None,
    model: Annotated[str, typer.Option(help="3D model, name or name@version.")] = "nuclei-3d",
    memory_voxels: Annotated[
        list[float] | None, typer.Option(help="Size of an image of `memory`, e.g. 1e8; may be repeated.")
    ] = None,
    pipeline_voxels: Annotated[float | None, typer.Option(help="Size of the image of `pipeline`, e.g. 16e6.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to make temporary images. Default: the system's place.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure speed and memory side by side in one run; ratios say more than figures of one machine."""
    with told(json):
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
        show_table(
            ["bench", "what", "value", "unit", "note"], [(r.bench, r.name, r.value, r.unit, r.note) for r in rows]
        )
        if rows:
            show_line(f"Measured on {rows[0].machine}.")
