"""`noyau evaluate`: labels against labels."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from noyau.commands import options
from noyau.commands.exits import told
from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table
from noyau.domain.errors import InvalidInput

# What people look at first; --json has all.
COLUMNS = ("image", "true", "predicted", "f1", "precision", "recall", "pq", "seg", "dice", "detection_f1")
IgnoreBelow = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="VOXELS",
        help="True objects of fewer voxels only mark nuclei: neither they nor what lies on them count.",
    ),
]


def evaluate(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PREDICTION... TRUTH",
            help="Labels to judge, then the true ones: .npz, .npy, TIFF, OME-Zarr images, label groups, or folders.",
        ),
    ],
    truth: Annotated[
        list[str] | None, typer.Option(help="True labels; then all arguments are predictions. May be repeated.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Label group of OME-Zarr predictions. Default: the only one.")
    ] = None,
    truth_labels: Annotated[
        str | None, typer.Option(help="Label group of OME-Zarr truths. Default: the only one.")
    ] = None,
    key: Annotated[str, typer.Option(help="Array of an npz file.")] = "labels",
    threshold: Annotated[list[float] | None, typer.Option(help="IoU threshold; may be repeated.")] = None,
    voxel_size: options.VoxelSizeText = None,
    radius: Annotated[
        float | None, typer.Option(help="Also judge detection: centroids may be this far apart, micrometres.")
    ] = None,
    ignore_below: IgnoreBelow = 0,
    resamples: Annotated[int, typer.Option(min=1, help="Of the bootstrap over images.")] = 1000,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare labels with true labels: a row per image and a pooled one."""
    with told(json):
        predictions, truths = _sides(places, truth)
        from noyau.config import load_settings
        from noyau.domain.access import AccessPolicy
        from noyau.pipelines.evaluate import THRESHOLDS, run_evaluate

        with ProgressView(enabled=not quiet) as view, view.stopping_gently():
            report = run_evaluate(
                predictions,
                truths,
                access=AccessPolicy.everything(load_settings().access.s3_endpoint),
                labels=labels,
                truth_labels=truth_labels,
                key=key,
                ignore_below=ignore_below,
                thresholds=tuple(threshold) if threshold else THRESHOLDS,
                voxel_size=options.parse_voxel_size(voxel_size),
                radius_um=radius,
                resamples=resamples,
                reporter=view,
            )
        if json:
            show_json(report.to_json())
            return
        _show(report)


def _sides(places: list[str], truth: list[str] | None) -> tuple[list[str], list[str]]:
    if truth:
        return places, truth
    if len(places) < 2:
        raise InvalidInput("The true labels are missing.", "Name them after the predictions, or with --truth.")
    return places[:-1], places[-1:]


def _show(report: Any) -> None:
    rows = report.rows()
    first = f"@{report.thresholds[0]:g}"
    names = [
        name
        for name in rows[0]
        if name.partition("@")[0] in COLUMNS and (name.startswith("f1@") or "@" not in name or name.endswith(first))
    ]
    # A metric that no image has (detection without a radius) is left out.
    names = [name for name in names if any(row[name] is not None for row in rows)]
    shown = [[float("nan") if row[name] is None else row[name] for name in names] for row in rows]
    show_table(names, shown)
    low, high = report.intervals.low, report.intervals.high
    if len(report.images) > 1:
        show_line(
            f"pooled over {len(report.images)} images; {report.intervals.level:.0%} interval of SEG "
            f"{float(low['seg']):.3f} to {float(high['seg']):.3f} (bootstrap over images)"
        )
    for name in report.unused:
        typer.echo(f"warning: no prediction for {name}", err=True)
