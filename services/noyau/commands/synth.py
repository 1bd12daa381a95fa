"""`noyau synth`: synthetic nuclei with their truth."""

from __future__ import annotations

from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_table
from noyau.domain.errors import InvalidInput


def synth(
    out: Annotated[str, typer.Argument(help="name.npz or name.ome.zarr for one image, else a folder.")],
    shape: Annotated[str, typer.Option(metavar="[Z,]Y,X", help="Voxels.")] = "48,192,192",
    voxel_size: options.VoxelSizeText = None,
    recipe: Annotated[str, typer.Option(help="embryo, tissue, culture_2d or wide.")] = "wide",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first image; each further one adds 1.")] = 0,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many images.")] = 1,
    count: Annotated[int | None, typer.Option(help="Nuclei per image. Default: drawn.")] = None,
    density: Annotated[
        float | None, typer.Option(help="Fraction of the space that nuclei fill. Default: drawn.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="npz or zarr. Default: by the name.")] = None,
    ngff: Annotated[str, typer.Option(help="Version of the OME-Zarr: 0.5 or 0.4.")] = "0.5",
    no_preview: Annotated[bool, typer.Option("--no-preview", help="No picture beside the image.")] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make synthetic images of nuclei with their true labels (label group `truth`, or npz array `labels`)."""
    with told(json):
        voxels = options.parse_tile(shape)
        if voxels is None:
            raise InvalidInput("The shape is empty.")
        from noyau.pipelines.synth import run_synth

        with ProgressView(enabled=not quiet) as view:
            made = run_synth(
                out,
                voxels,
                options.parse_voxel_size(voxel_size),
                seed,
                recipe,
                number,
                fmt=format,
                ngff=ngff,
                count=count,
                density=density,
                overwrite=overwrite,
                preview=not no_preview,
                reporter=view,
            )
        if json:
            show_json({"images": made})
            return
        rows = [(file.path, file.nuclei, file.seed, ", ".join(f"{v:g}" for v in file.voxel_size)) for file in made]
        show_table(["image", "nuclei", "seed", "voxel size (µm)"], rows)
