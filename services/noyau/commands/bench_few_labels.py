"""`noyau bench few-labels`: what a few labelled crops are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table
from noyau.domain.errors import InvalidInput

if TYPE_CHECKING:  # imports torch
    from noyau.bench.few_labels import FewLabels

FEW_LABELS = "few-labels"


def few_labels_of(which: list[str], data: list[str] | None, val: list[str] | None, **common: object) -> FewLabels:
    """The conditions of the curve.

    Raises:
        InvalidInput: other benchmarks were asked for too, or there is no data.
    """
    from noyau.bench.few_labels import FewLabels

    if len(which) > 1:
        raise InvalidInput("The curve over labelled crops is measured alone.", "Name no other benchmark with it.")
    if not data or not val:
        raise InvalidInput(
            "The curve over labelled crops needs pairs.",
            "Give npz pairs with --data, and with --val the names of those that are measured, e.g. 'Emb1[01]_*'.",
        )
    return FewLabels(data=tuple(data), val=tuple(val), **common)  # type: ignore[arg-type]


def bench_few_labels(setup: FewLabels, folder: Path | None, json: bool, quiet: bool) -> None:
    """Measures and shows the curve; table and picture are in the folder."""
    from noyau.bench.few_labels import PICTURE, TABLE, measure_few_labels
    from noyau.config import load_settings
    from noyau.models.registry import shipped_packages

    place = folder or Path(FEW_LABELS)
    models = (*load_settings().models, shipped_packages())
    with ProgressView(enabled=not quiet) as view, view.stopping_gently():
        points = measure_few_labels(setup, place, models, view)
    if json:
        show_json({"points": points, "table": place / TABLE, "picture": place / PICTURE})
        return
    columns = ["crops", "labelled nuclei", "F1@0.5", "F1@0.7", "SEG", "true", "found", "minutes"]
    rows = [(p.crops, p.labelled_nuclei, p.f1_50, p.f1_70, p.seg, p.true, p.found, p.minutes) for p in points]
    show_table(columns, rows)
    show_line(f"Measured on {points[0].images} images kept back; table and curve are in {place}")
