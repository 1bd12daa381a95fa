"""`noyau convert`: make an OME-Zarr from npz, npy, TIFF or OME-TIFF."""

from __future__ import annotations

from typing import Annotated

import typer

from noyau.commands import options
from noyau.commands.exits import told
from noyau.commands.showing import show_json, show_line


def convert(
    source: Annotated[str, typer.Argument(help=".npz, .npy, .tif, .tiff or .ome.tiff file.")],
    target: Annotated[str, typer.Argument(help="OME-Zarr to write: a path or s3://.")],
    voxel_size: options.VoxelSizeText = None,
    axes: Annotated[str | None, typer.Option(help="Axes of the file, e.g. zcyx. Default: from the file.")] = None,
    channel_axis: Annotated[int | None, typer.Option(help="Position of the channel axis, where there is one.")] = None,
    key: Annotated[str, typer.Option(help="Array of an npz file that holds the image.")] = "image",
    labels: Annotated[
        str | None, typer.Option(help="Also store the npz array 'labels' as a label group of this name.")
    ] = None,
    labels_key: Annotated[str, typer.Option(help="Array of an npz file that holds the labels.")] = "labels",
    series: Annotated[int, typer.Option(min=0, help="Series of a TIFF file that holds several.")] = 0,
    ngff: Annotated[str, typer.Option(help="Version of the format: 0.5 or 0.4.")] = "0.5",
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Make an OME-Zarr with a resolution pyramid."""
    with told(json):
        from noyau.config import load_settings
        from noyau.domain.access import AccessPolicy
        from noyau.sources.convert import convert as run

        done = run(
            source,
            target,
            voxel_size=options.parse_voxel_size(voxel_size),
            axes=axes,
            channel_axis=channel_axis,
            ngff=ngff,
            overwrite=overwrite,
            key=key,
            labels=labels,
            labels_key=labels_key,
            series=series,
            access=AccessPolicy.everything(load_settings().access.s3_endpoint),
        )
        if json:
            show_json(done)
            return
        for statement in done.statements:
            typer.echo(statement, err=True)
        size = "unknown" if done.voxel_size is None else ", ".join(f"{value:g}" for value in done.voxel_size)
        shape = " x ".join(str(n) for n in done.shape)
        show_line(f"{done.uri}: {done.axes} {shape} {done.dtype}, {done.levels} levels, voxel size {size} µm (z, y, x)")
