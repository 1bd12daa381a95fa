"""`noyau bench soak`: many short jobs while processes are killed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import typer

from noyau.commands.progress import ProgressView
from noyau.commands.showing import show_json, show_line, show_table
from noyau.domain.errors import InvalidInput

SOAK = "soak"


def bench_soak(
    which: list[str], jobs: int, kills: int, seed: int, folder: Path | None, json: bool, quiet: bool
) -> None:
    """Runs the soak and shows what it counted; exit code 1 where a job was lost or doubled.

    Raises:
        InvalidInput: other benchmarks were asked for too.
    """
    from noyau.bench.soak import Soak
    from noyau.bench.soak import bench_soak as run

    if len(which) > 1:
        raise InvalidInput("The soak is run alone.", "Name no other benchmark with it.")
    conditions = Soak(jobs=jobs, kills=kills, seed=seed or Soak.seed)
    with (
        tempfile.TemporaryDirectory(prefix="noyau-soak-", dir=folder) as place,
        ProgressView(enabled=not quiet) as view,
        view.stopping_gently(),
    ):
        rows = run(conditions, Path(place), view)
    if json:
        show_json({"rows": rows})
    else:
        show_table(["what", "value", "unit", "note"], [(r.name, r.value, r.unit, r.note) for r in rows])
        show_line(f"Run on {rows[0].machine}.")
    if any(row.value for row in rows if row.name in ("lost", "doubled", "different", "left behind")):
        raise typer.Exit(1)
