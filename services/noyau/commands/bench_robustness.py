"""`noyau bench robustness`: what other cameras, noise, blur and coarser planes cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noyau.commands.bench_models import write_beside
from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table
from noyau.domain.errors import InvalidInput

if TYPE_CHECKING:  # imports torch
    from noyau.bench.robustness import Condition, Robustness

ROBUSTNESS = "robustness"
COLUMNS = ("images are", "F1@0.5", "F1@0.7", "SEG", "cost in F1@0.5", "true", "found")


def robustness_of(which: Sequence[str], data: list[str] | None, val: list[str] | None, **common: Any) -> Robustness:
    """The conditions of the table.

    Raises:
        InvalidInput: other benchmarks were asked for too, or there is no data.
    """
    from noyau.bench.robustness import Robustness

    if len(which) > 1:
        raise InvalidInput("The table of robustness is measured alone.", "Name no other benchmark with it.")
    if not data or not val:
        raise InvalidInput(
            "The table of robustness needs pairs.",
            "Give npz pairs with --data, and with --val the names of those that are measured, e.g. 'Emb1[01]_*'.",
        )
    return Robustness(data=tuple(data), val=tuple(val), **common)


def bench_robustness(setup: Robustness, table: Path | None, json: bool, quiet: bool) -> None:
    """Measures and shows the table.

    Args:
        setup: the conditions.
        table: also writes it here, as Markdown.
        json, quiet: how to show.
    """
    from noyau.bench.robustness import measure_robustness
    from noyau.config import load_settings
    from noyau.models.registry import shipped_packages

    models = (*load_settings().models, shipped_packages())
    with ProgressView(enabled=not quiet) as view, view.stopping_gently():
        rows = measure_robustness(setup, models, view)
    if table is not None:
        write_beside(table, markdown(rows))
    if json:
        show_json({"rows": rows})
        return
    show_table(list(COLUMNS), [_cells(row) for row in rows])
    show_line(f"Measured with {setup.model} on {rows[0].images} images.")


def markdown(rows: Sequence[Condition]) -> str:
    """The table as Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in _cells(row))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cells(row: Condition) -> list[object]:
    return [row.condition, row.f1_50, row.f1_70, row.seg, row.cost, row.true, row.found]
