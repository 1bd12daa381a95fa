"""`noyau suggest`: which images, or crops of them, are worth annotating next."""

from __future__ import annotations

from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.credentials import NOBODY, Credentials, with_credentials
from noyau.commands.exits import told
from noyau.commands.running import Run, run_job
from noyau.domain.image import ImageRef
from noyau.domain.training_jobs import SuggestSpec


@with_credentials
def suggest(
    images: Annotated[list[str], typer.Argument(help="OME-Zarr images, or plates, wells and fields; paths or URIs.")],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder to make, or what gets the table in OMERO.")],
    model: Annotated[
        str | None,
        typer.Option(help="The model that is to learn. Default: nuclei-3d for volumes, nuclei-2d for planes."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many to suggest.")] = 10,
    crop: Annotated[
        str | None, typer.Option(metavar="[Z,]Y,X", help="Rank crops of so many voxels. Default: whole images.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Channel, by index or name. Default: the first.")] = None,
    time: Annotated[str | None, typer.Option(metavar="T[-T]", help="Time points, e.g. 3 or 0-9. Default: all.")] = None,
    level: Annotated[int, typer.Option(help="Resolution level; 0 is the finest.")] = 0,
    voxel_size: options.VoxelSizeText = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    overwrite: options.Overwrite = False,
    server: options.Server = None,
    local: options.Local = False,
    credentials: Credentials = NOBODY,
    priority: Annotated[int, typer.Option(help="Higher runs first within its group.")] = 0,
    group: Annotated[str, typer.Option(help="Group that the job is counted for.")] = "",
    key: Annotated[str, typer.Option(help="Idempotency key: the same key again gives the same job.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and do not wait for it.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Rank images or crops by how unsure the model is, leave out what looks the same, and write them for annotation.

    The folder holds the crops as OME-Zarr with the model's labels as a start (label group `nuclei`), a ranked table
    and a picture. Corrected, it is a dataset: noyau train --data FOLDER.
    """
    with told(json):
        options.refuse_detached_private(detach, local)
        chosen, times = options.parse_channel(channel), options.parse_time(time)
        spec = SuggestSpec(
            images=tuple(ImageRef(options.absolute(uri), chosen, times, level) for uri in images),
            output=options.absolute(output),
            model=model,
            count=count,
            crop=options.parse_tile(crop),
            voxel_size=options.parse_voxel_size(voxel_size),
            device=device,
            overwrite=overwrite,
        )
    run_job(spec, Run(server, local, credentials, json, quiet, detach, priority, group, key))
