"""Decoders and networks side by side: each is trained with the same loop, data, budget and seed, then measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from noyau.bench.children import run_child
from noyau.bench.rows import machine
from noyau.domain.errors import InvalidInput, NoyauError
from noyau.domain.progress import Reporter, SilentReporter

DEFAULT_COMBINATIONS = (
    "vote/vote-unet",
    "border/vote-unet",
    "star/vote-unet",
    "flow/vote-unet",
    "vote/unet",
    "vote/residual-unet",
    "vote/swin-unetr",
)
"""Every decoder with our network, and every network with our decoder."""
PATCHES = {2: (192, 192), 3: (32, 64, 64)}
"""Multiples of the strides of all networks."""


@dataclass(frozen=True)
class Trial:
    """What all combinations have in common.

    Attributes:
        data: npz pairs: folders, files or patterns.
        val: patterns of file names that are measured and never trained on.
        ndim: 2 or 3.
        voxel_size: micrometres z/y/x of the data; None for a model that works in pixels.
        minutes, steps: budget of each training; whichever ends first.
        seed: of weights and patches.
        threads: of the network, while training and while measuring.
        images: most validation images, spread evenly over them; 0 for all.
        lr: peak learning rate.
        batch: patches per step.
    """

    data: tuple[str, ...]
    val: tuple[str, ...]
    ndim: int = 3
    voxel_size: tuple[float, float, float] | None = None
    minutes: float | None = None
    steps: int | None = None
    seed: int = 0
    threads: int = 1
    images: int = 8
    lr: float = 3e-3
    batch: int = 2


@dataclass(frozen=True)
class Outcome:
    """One row of the table.

    Attributes:
        decoder, network: the combination.
        parameters: trained weights, millions.
        steps: optimiser steps that the budget allowed.
        f1_50, f1_70, seg: over all objects of the validation images.
        forward, decode: Mvoxel of image per second, one window on the CPU with torch, and one thread of decoding.
        train_gib, run_gib: peak memory of the process while training and while segmenting.
        images: validation images.
        note: why there are no figures, where there are none.
        machine: where it was measured.
    """

    decoder: str
    network: str
    parameters: float = 0.0
    steps: int = 0
    f1_50: float = float("nan")
    f1_70: float = float("nan")
    seg: float = float("nan")
    forward: float = float("nan")
    decode: float = float("nan")
    train_gib: float = float("nan")
    run_gib: float = float("nan")
    images: int = 0
    note: str = ""
    machine: str = ""


def compare(
    trial: Trial,
    combinations: Sequence[str] = DEFAULT_COMBINATIONS,
    *,
    folder: Path | None = None,
    reporter: Reporter | None = None,
    seen: Callable[[Sequence[Outcome]], None] | None = None,
) -> list[Outcome]:
    """Trains and measures each combination; one that fails has a row that says why, and the others go on.

    Args:
        trial: what they have in common.
        combinations: `decoder/network` each.
        folder: keeps the models; None means a temporary one.
        reporter: is told what is being done, and says when to stop.
        seen: gets the rows so far after each combination.

    Raises:
        InvalidInput: a combination is no `decoder/network` of known ones, or there is no budget.
    """
    pairs = [_parse(text) for text in combinations]
    if trial.minutes is None and trial.steps is None:
        raise InvalidInput("The comparison has no budget.", "Give a number of minutes or of steps per combination.")
    reporter = reporter or SilentReporter()
    with TemporaryDirectory(prefix="noyau-compare-") as temporary:
        place = folder or Path(temporary)
        rows: list[Outcome] = []
        for decoder, network in pairs:
            rows.append(_one(trial, decoder, network, place / f"{decoder}-{network}", reporter))
            if seen is not None:
                seen(rows)
        return rows


def _parse(text: str) -> tuple[str, str]:
    from noyau.models.networks import ARCHITECTURES
    from noyau.training.objectives import NAMES

    decoder, _, network = text.partition("/")
    if decoder not in NAMES or network not in ARCHITECTURES:
        raise InvalidInput(
            f"'{text}' is no decoder and network.",
            f"Give decoder/network; decoders: {', '.join(NAMES)}; networks: {', '.join(ARCHITECTURES)}.",
        )
    return decoder, network


def _one(trial: Trial, decoder: str, network: str, out: Path, reporter: Reporter) -> Outcome:
    request: dict[str, Any] = {**asdict(trial), "decoder": decoder, "architecture": network, "out": str(out.absolute())}
    try:
        reporter.stage(f"train {decoder}/{network}")
        trained = run_child("noyau.bench.compare_child", "train", request, reporter)
        reporter.stage(f"measure {decoder}/{network}")
        measured = run_child("noyau.bench.compare_child", "measure", request, reporter)
    except NoyauError as error:
        # A stop is the reporter's; it is raised again here.
        reporter.check()
        return Outcome(decoder, network, note=error.cause, machine=machine())
    return Outcome(decoder, network, **trained, **measured, machine=machine())
