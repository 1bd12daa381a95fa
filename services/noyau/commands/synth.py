"""`noyau synth`: synthetic nuclei with their truth."""

from __future__ import annotations

from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.running import Run, run_job
from noyau.commands.showing import show_json, show_table
from noyau.domain.errors import InvalidInput
from noyau.domain.training_jobs import SynthSpec


@with_credentials
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
    server: Annotated[
        str | None, typer.Option("--server", help="Make them as a job of this service: host:port or unix:/path.")
    ] = None,
    credentials: Credentials = NOBODY,
    detach: Annotated[bool, typer.Option("--detach", help="With --server: print the job's id, do not wait.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make synthetic images of nuclei with their true labels (label group `truth`, or npz array `labels`)."""
    with told(json):
        voxels = options.parse_tile(shape)
        if voxels is None:
            raise InvalidInput("The shape is empty.")
        if server is None and detach:
            raise InvalidInput("Only a service goes on without its command.", "Name one with --server.")
        if server is not None and ngff != "0.5":
            raise InvalidInput(f"A service writes OME-Zarr 0.5, not {ngff}.", "Leave out --ngff, or --server.")
        spec = SynthSpec(
            output=out if server is None else options.absolute(out),
            ndim=2 if voxels[0] == 1 else 3,
            count=number,
            recipe=recipe,
            seed=seed,
            voxel_size=options.parse_voxel_size(voxel_size),
            shape=voxels,
            previews=not no_preview,
            nuclei=count,
            density=density,
            fmt=format,
            overwrite=overwrite,
        )
    if server is None:
        _make_here(spec, ngff, json, quiet)
    else:
        run_job(spec, Run(server, False, credentials, json, quiet, detach))


def _make_here(spec: SynthSpec, ngff: str, json: bool, quiet: bool) -> None:
    """Makes the images in this process."""
    with told(json):
        from noyau.pipelines.synth import SHAPES, run_synth

        with ProgressView(enabled=not quiet) as view:
            made = run_synth(
                spec.output,
                spec.shape or SHAPES[spec.ndim],
                spec.voxel_size,
                spec.seed,
                spec.recipe,
                spec.count,
                fmt=spec.fmt,
                ngff=ngff,
                count=spec.nuclei,
                density=spec.density,
                overwrite=spec.overwrite,
                preview=spec.previews,
                reporter=view,
            )
        if json:
            show_json({"images": made})
            return
        rows = [(file.path, file.nuclei, file.seed, ", ".join(f"{v:g}" for v in file.voxel_size)) for file in made]
        show_table(["image", "nuclei", "seed", "voxel size (µm)"], rows)
