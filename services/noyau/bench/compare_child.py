"""What the processes of the comparison do: one trains, another measures what it trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from noyau.bench.compare import PATCHES
from noyau.bench.memory import peak_bytes
from noyau.decoding.whole import segment_whole
from noyau.decoding.windowed import WindowDecoder
from noyau.domain.geometry import Box, as_index
from noyau.domain.intensity import normalise
from noyau.domain.model import ModelInfo
from noyau.domain.progress import SilentReporter
from noyau.inference.backend import Backend
from noyau.inference.cache import BackendCache
from noyau.inference.selection import Choice
from noyau.models.registry import ModelRegistry
from noyau.pipelines.decoders import decoder_of
from noyau.pipelines.train import PACKAGE_FOLDER, run_training
from noyau.planning.reflect import read_reflected
from noyau.training.config import TrainConfig
from noyau.training.dataset import Pair, find_files, load_pairs, split_files
from noyau.training.metrics import pool, score

MODEL = "compared"
_GIB = 2**30


def train(request: str) -> str:
    """Trains one combination; returns what it took as JSON."""
    wanted = json.loads(request)
    config = _config(wanted)
    result = run_training(config, SilentReporter())
    count = sum(p.numel() for p in result.network.parameters())
    return json.dumps({"parameters": count / 1e6, "steps": result.step, "train_gib": peak_bytes() / _GIB})


def measure(request: str) -> str:
    """Segments the validation images with the trained model; returns the figures as JSON."""
    wanted = json.loads(request)
    config = _config(wanted)
    registry = ModelRegistry([config.out / PACKAGE_FOLDER])
    info = registry.get(MODEL)
    backend = BackendCache(threads=wanted["threads"]).get(
        info, Choice("cpu", "torch"), lambda: registry.load(MODEL).network
    )
    _, files = split_files(find_files(config.data), config.val, 0)
    limit = wanted["images"] or len(files)
    # The middle of each of so many equal parts: first and last stages of a series are not favoured.
    chosen = [files[int((i + 0.5) * len(files) / limit)] for i in range(min(limit, len(files)))]
    pairs = load_pairs(chosen, config.ndim, config.normalisation)
    results = [_segment(backend, pair, info) for pair in pairs]
    scores = [score(r.truth, r.labels, (0.5, 0.7)) for r in results]
    pooled, voxels = pool(scores), sum(r.truth.size for r in results) / 1e6
    return json.dumps(
        {
            "f1_50": pooled.f1(0.5),
            "f1_70": pooled.f1(0.7),
            "seg": pooled.seg,
            "forward": voxels / sum(r.forward for r in results),
            "decode": voxels / sum(r.decode for r in results),
            "run_gib": peak_bytes() / _GIB,
            "images": len(pairs),
        }
    )


def _config(wanted: dict[str, Any]) -> TrainConfig:
    out = Path(wanted["out"])
    size = wanted["voxel_size"]
    return TrainConfig(
        name=MODEL,
        ndim=wanted["ndim"],
        data=tuple(wanted["data"]),
        out=out,
        val=tuple(wanted["val"]),
        minutes=wanted["minutes"],
        max_steps=wanted["steps"],
        patch=PATCHES[wanted["ndim"]],
        batch=wanted["batch"],
        lr=wanted["lr"],
        seed=wanted["seed"],
        threads=wanted["threads"],
        voxel_size=None if size is None else (size[0], size[1], size[2]),
        decoder=wanted["decoder"],
        architecture=wanted["architecture"],
    )


@dataclass(frozen=True)
class _Segmented:
    """Labels and truth of an image, z/y/x, and the seconds that the network and the decoder took."""

    truth: np.ndarray
    labels: np.ndarray
    forward: float
    decode: float


def _segment(backend: Backend, pair: Pair, info: ModelInfo) -> _Segmented:
    """One image in one window with a frame of one stride, as `noyau segment` takes small images."""
    flat = pair.image.ndim == 2
    image = normalise(pair.image, pair.low, pair.high, info.normalisation)
    image = image[None] if flat else image
    whole = Box.of(image.shape)
    frame = as_index(0 if n == 1 or not info.bounded else s for n, s in zip(image.shape, info.stride, strict=True))
    padded = whole.grown(frame)
    stops = (b + (-n) % s for b, n, s in zip(padded.stop, padded.shape, info.stride, strict=True))
    window = Box(padded.start, as_index(stops))
    source = read_reflected(lambda box: image[box.slices], window, whole.shape)[None].astype(np.float32, copy=False)
    decoder: WindowDecoder | None = decoder_of(info)
    begin = perf_counter()
    prediction = backend.predict(source)[0]
    middle = perf_counter()
    inside = np.ascontiguousarray(prediction[(slice(None), *whole.relative_to(window.start).slices)])
    labels = segment_whole(inside, info.vote, decoder)
    end = perf_counter()
    truth = pair.labels[None] if flat else pair.labels
    return _Segmented(truth, labels, middle - begin, end - middle)
