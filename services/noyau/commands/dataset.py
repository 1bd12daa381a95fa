"""`noyau dataset`: is this fit to train on?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noyau.commands import options
from noyau.commands.exits import PARTIAL, told
from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table

if TYPE_CHECKING:
    from noyau.pipelines.dataset_check import DatasetReport
    from noyau.training.data import Problem

_MOST_ERRORS, _MOST_OTHERS = 20, 3


Places = Annotated[
    list[str],
    typer.Argument(
        help="Folders, files or patterns: npz (image, labels), TIFF (images/ and masks/, or a.tif and a_mask.tif), "
        "OME-Zarr with labels; points and boxes as CSV, GeoJSON or arrays of an npz."
    ),
]
Validation = Annotated[
    list[str] | None, typer.Option("--val", help="Pattern of names to validate on, e.g. 'Emb10_*'; may be repeated.")
]
Percent = Annotated[int, typer.Option("--val-percent", min=0, max=90, help="Share of specimens to validate on.")]
Dimensions = Annotated[
    int | None, typer.Option("--ndim", min=2, max=3, help="Dimensions. Default: those of the first pair.")
]
Group = Annotated[str, typer.Option("--labels", help="Label group of OME-Zarr images.")]
Ignore = Annotated[int | None, typer.Option("--ignore", help="Label value that means unknown; -1 always does.")]
Components = Annotated[
    bool, typer.Option("--components", help="Take connected areas of a mask (0 and 255) for nuclei.")
]
Complete = Annotated[bool, typer.Option("--complete", help="Every nucleus has its point.")]
Specimen = Annotated[
    str | None,
    typer.Option("--specimen", help="Regular expression on names: its group is the specimen, e.g. '^(Emb[0-9]+)'."),
]
Licence = Annotated[str, typer.Option("--licence", help="Licence of the data, for the record.")]
Modality = Annotated[str, typer.Option("--modality", help="Modality, for the record, e.g. 'confocal, H2B-mRFP1'.")]
Origin = Annotated[str, typer.Option("--source", help="Where the data comes from, for the record.")]
Picture = Annotated[Path | None, typer.Option("--picture", help="PNG to write: pairs with their outlines.")]
Record = Annotated[Path | None, typer.Option("--record", help="JSON to write: counts, split, digests, problems.")]


def check(
    places: Places,
    val: Validation = None,
    val_percent: Percent = 0,
    ndim: Dimensions = None,
    labels: Group = "nuclei",
    ignore: Ignore = None,
    components: Components = False,
    complete: Complete = False,
    specimen: Specimen = None,
    voxel_size: options.VoxelSizeText = None,
    licence: Licence = "",
    modality: Modality = "",
    source: Origin = "",
    picture: Picture = None,
    record: Record = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check pairs of images and labels before training; exit code 1 if a pair must be left out, 3 if all must."""
    with told(json):
        size = options.parse_voxel_size(voxel_size)
        from noyau.config import load_settings
        from noyau.domain.access import AccessPolicy
        from noyau.pipelines.dataset_check import run_dataset_check
        from noyau.training.data import Facts

        spacing = None if size is None else (size.z, size.y, size.x)
        facts = Facts(licence=licence, modality=modality, source=source, voxel_size=spacing, specimen=specimen)
        facts = replace(facts, ignore=ignore, complete=complete, components=components)
        access = AccessPolicy.everything(load_settings().access.s3_endpoint)
        with ProgressView(enabled=not quiet) as view, view.stopping_gently():
            report = run_dataset_check(
                places, access=access, ndim=ndim, labels=labels, val=tuple(val or ()), val_percent=val_percent,
                facts=facts, picture=picture, record=record, overwrite=overwrite, reporter=view,
            )  # fmt: skip
        if json:
            show_json({"sound": report.is_sound, **report.record, "files": report.files})
        else:
            _show(report)
        if not report.is_sound:
            raise typer.Exit(PARTIAL)


def _show(report: DatasetReport) -> None:
    record = report.record
    rows = [_row(part) for part in record["parts"]]
    show_table(["folder", "pairs", "objects", "voxel size (µm)", "licence", "modality"], rows)
    sides = [(side, c["pairs"], c["objects"], c["specimens"]) for side, c in record["counts"].items()]
    show_table(["set", "pairs", "objects", "specimens"], sides)
    show_line(f"Specimens: {record['specimens']}.")
    for severity in ("error", "warning", "note"):
        _show_problems([p for p in report.problems if p.severity == severity], severity)
    left = sum(side["pairs"] for side in record["counts"].values())
    errors = sum(p.severity == "error" for p in report.problems)
    verdict = "no errors" if report.is_sound else f"{errors} left out or in doubt"
    show_line(f"{left} pairs of {record['ndim']}D images can be trained on; {verdict}.")
    for file in report.files:
        show_line(f"Written: {file}")


def _row(part: dict[str, Any]) -> tuple[Any, ...]:
    sizes = [" x ".join(f"{v:g}" for v in size) if size else "unknown" for size in part["voxel_sizes"]]
    shown = "; ".join(sizes[:3]) + ("; ..." if len(sizes) > 3 else "")
    return part["folder"], part["pairs"], part["objects"], shown, part["licence"] or "not stated", part["modality"]


def _show_problems(problems: Sequence[Problem], severity: str) -> None:
    """The first few of each kind."""
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    for kind, members in kinds.items():
        shown = members[: _MOST_ERRORS if severity == "error" else _MOST_OTHERS]
        for problem in shown:
            show_line(f"{severity} ({kind}): {problem}")
        if len(members) > len(shown):
            show_line(f"{severity} ({kind}): ... and {len(members) - len(shown)} more; --json lists them all")
