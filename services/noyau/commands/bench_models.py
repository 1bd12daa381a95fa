"""`noyau bench models`: decoders and networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table
from noyau.domain.errors import InvalidInput

if TYPE_CHECKING:  # imports torch
    from noyau.bench.compare import Outcome, Trial

MODELS = "models"
COLUMNS = (
    ("decoder", "decoder"),
    ("network", "network"),
    ("parameters", "Mweights"),
    ("steps", "steps"),
    ("f1_50", "F1@0.5"),
    ("f1_70", "F1@0.7"),
    ("seg", "SEG"),
    ("forward", "forward Mvoxel/s"),
    ("decode", "decode Mvoxel/s"),
    ("train_gib", "train GiB"),
    ("run_gib", "segment GiB"),
    ("note", "note"),
)


def trial_of(which: Sequence[str], data: Sequence[str] | None, val: Sequence[str] | None, **common: Any) -> Trial:
    """What the combinations have in common.

    Args:
        which: the benchmarks that were asked for.
        data, val: pairs, and patterns of the names that are measured.
        common: further fields of `noyau.bench.compare.Trial`.

    Raises:
        InvalidInput: other benchmarks were asked for too.
    """
    from noyau.bench.compare import Trial

    if len(which) > 1:
        raise InvalidInput("The comparison of models is measured alone.", "Name no other benchmark with it.")
    return Trial(data=tuple(data or ()), val=tuple(val or ()), **common)


def bench_models(
    trial: Trial, combinations: Sequence[str] | None, folder: Path | None, table: Path | None, json: bool, quiet: bool
) -> None:
    """Trains, measures and shows one table.

    Args:
        trial: what the combinations have in common.
        combinations: `decoder/network` each; None takes every decoder with our network and every network with our
            decoder.
        folder: keeps the models.
        table: also writes the table here, as Markdown; it grows by a row with each combination.
        json, quiet: how to show.
    """
    from noyau.bench.compare import DEFAULT_COMBINATIONS, compare

    if not trial.data or not trial.val:
        raise InvalidInput(
            "A comparison needs pairs to train on and pairs to measure on.",
            "Give --data FOLDER and --val 'PATTERN' of the file names that are measured.",
        )
    with ProgressView(enabled=not quiet) as view, view.stopping_gently():
        outcomes = compare(
            trial,
            combinations or DEFAULT_COMBINATIONS,
            folder=folder,
            reporter=view,
            seen=None if table is None else partial(_write, table),
        )
    if json:
        show_json({"rows": outcomes})
        return
    show_table([title for _, title in COLUMNS], [_cells(outcome) for outcome in outcomes])
    measured = [outcome for outcome in outcomes if not outcome.note]
    if measured:
        show_line(f"Measured on {measured[0].images} images, {trial.threads} threads, on {measured[0].machine}.")


def markdown(outcomes: Sequence[Outcome]) -> str:
    """The table as Markdown."""
    lines = ["| " + " | ".join(title for _, title in COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for outcome in outcomes:
        cells = (_figure(c) if isinstance(c, float) else str(c) for c in _cells(outcome))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _figure(value: float) -> str:
    return "" if isnan(value) else f"{value:.3g}"


def write_beside(table: Path, text: str) -> None:
    """Replaces a file by a text, all of it or nothing."""
    beside = table.with_name(f"{table.name}.partial")
    beside.write_text(text, encoding="utf-8")
    beside.replace(table)


def _write(table: Path, outcomes: Sequence[Outcome]) -> None:
    write_beside(table, markdown(outcomes))


def _cells(outcome: Outcome) -> list[object]:
    values = asdict(outcome)
    return [values[name] for name, _ in COLUMNS]
