"""How fast each decoder is, and how much of the truth it gives back, when the network makes no mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from noyau.bench.networks import mean_seconds
from noyau.bench.rows import Row
from noyau.bench.setting import Setting, noted, row
from noyau.decoding.whole import segment_whole
from noyau.decoding.windowed import window_decoder
from noyau.domain.errors import FailedPrecondition
from noyau.training.config import TrainConfig
from noyau.training.decoder_defaults import decoder_parameters
from noyau.training.ideal import ideal_prediction
from noyau.training.metrics import score
from noyau.training.objectives import NAMES, VOTE

LEAST_SECONDS = 2.0
LARGEST = (48, 160, 160)
"""Part of the synthetic block that is decoded: enough nuclei to count, seconds to decode."""


def bench_decoders(setting: Setting) -> list[Row]:
    """Speed of each decoder on one thread, and SEG of its labels, on perfect predictions of synthetic nuclei."""
    labels = np.ascontiguousarray(setting.block.labels[tuple(slice(n) for n in LARGEST)]).astype(np.int32)
    rows = []
    for name in NAMES:
        setting.reporter.stage(f"decoder {name}")
        setting.reporter.check()
        try:
            decode, prediction = _ready(setting, name, labels)
        except FailedPrecondition as error:
            rows.append(row("decoders", f"{name}: speed", float("nan"), "Mvoxel/s", error.cause))
            continue
        found = decode()
        figures = score(labels, found, (0.5,))
        seconds = mean_seconds(decode, 1, LEAST_SECONDS)
        note = noted([f"{labels.size / 1e6:.1f} Mvoxel", f"{figures.true} nuclei", f"{len(prediction)} bytes a voxel"])
        rows.append(row("decoders", f"{name}: speed", labels.size / 1e6 / seconds, "Mvoxel/s", note))
        rows.append(row("decoders", f"{name}: SEG of a perfect prediction", figures.seg, "of 1", note))
        rows.append(row("decoders", f"{name}: F1@0.5 of a perfect prediction", figures.f1(0.5), "of 1", note))
    return rows


def _ready(setting: Setting, name: str, labels: np.ndarray) -> tuple[Callable[[], np.ndarray], np.ndarray]:
    """The decoder with the parameters that training would give it, on a perfect prediction."""
    size = setting.voxel_size
    config = TrainConfig(
        name=name, ndim=3, data=(), out=Path(), max_steps=1, voxel_size=(size.z, size.y, size.x), decoder=name
    )
    prediction = ideal_prediction(config.objective, labels)
    vote = setting.info.vote
    decoder = None if name == VOTE else window_decoder(name, decoder_parameters(config, setting.info.diameter))
    return lambda: segment_whole(prediction, vote, decoder), prediction
