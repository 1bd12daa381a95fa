"""Options of `noyau bench` that its comparisons of models (`models`, `few-labels`, `robustness`) take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="Model, name or name@version; a 3D one but for few-labels and robustness.")]
Folder = Annotated[
    Path | None, typer.Option(help="Where to make temporary images, or to keep compared models and curves.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(help="models, few-labels, robustness: npz pairs to train or measure on; may be repeated."),
]
Val = Annotated[
    list[str] | None,
    typer.Option(help="models, few-labels, robustness: pattern of file names that are measured and not trained on."),
]
Combine = Annotated[
    list[str] | None, typer.Option(metavar="DECODER/NETWORK", help="models: what to compare; may be repeated.")
]
Ndim = Annotated[int, typer.Option(min=2, max=3, help="models: dimensions.")]
Minutes = Annotated[float | None, typer.Option(help="models: wall-clock budget of each training.")]
Steps = Annotated[int | None, typer.Option(help="models, few-labels: optimiser steps of each training.")]
Seed = Annotated[int, typer.Option(help="models, few-labels, robustness: decides weights, patches, noise.")]
Threads = Annotated[int, typer.Option(min=1, help="models, few-labels, robustness: threads of the network.")]
Inverted = Annotated[bool, typer.Option("--inverted", help="few-labels: exchange bright and dark, a strange domain.")]
Images = Annotated[
    int, typer.Option(min=0, help="models, few-labels, robustness: most images to measure on; 0 for all.")
]
Table = Annotated[Path | None, typer.Option(help="models, robustness: write the table here too, as Markdown.")]
Jobs = Annotated[int, typer.Option(min=1, help="soak: how many short jobs.")]
Kills = Annotated[int, typer.Option(min=0, help="soak: processes of the service that are killed (kill -9).")]
