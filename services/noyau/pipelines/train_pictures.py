"""Pictures of a training run: its curves, and examples of what the model finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from noyau.domain.model import ModelInfo
from noyau.domain.progress import Reporter
from noyau.inference.torch_backend import TorchBackend
from noyau.measurement.curves import Chart, draw_curves
from noyau.measurement.examples import Example, draw_examples
from noyau.models.networks import DenseNetwork
from noyau.pipelines.train_validation import segment_pair
from noyau.training.dataset import Pair
from noyau.training.history import read_history

_MOST_EXAMPLES = 4
# Larger images are shown in part, so that the pictures cost no more than a validation.
_LARGEST = {3: (64, 384, 384), 2: (1024, 1024)}
_SCORES = ("f1_50", "f1_70", "seg", "foreground_iou")


def picture_curves(log: Path, title: str) -> bytes:
    """A PNG of the loss, its parts, the validation and the learning rate over the steps.

    Args:
        log: metrics of the run.
        title: first line.
    """
    history = read_history(log)
    parts = {
        name.removeprefix("train/"): values
        for name, values in history.items()
        if name.startswith("train/") and name not in ("train/total", "train/rate")
    }
    charts = [
        Chart("training loss", {"total": history.get("train/total", {})}),
        Chart("parts of the loss", parts),
        Chart("validation", {name: history.get(f"val/{name}", {}) for name in _SCORES}),
        Chart("learning rate", {"rate": history.get("train/rate", {})}),
    ]
    return draw_curves(charts, title)


def picture_examples(network: DenseNetwork, info: ModelInfo, pairs: Sequence[Pair], reporter: Reporter) -> bytes:
    """A PNG of some pairs with the annotated outlines and those that the network finds, on the model's grid.

    Args:
        network: in eval mode.
        info: its description.
        pairs: where to look; some of them are taken.
        reporter: asked whether to stop.
    """
    backend = TorchBackend(network, info.ndim, next(network.parameters()).device.type)
    examples = []
    for pair in pairs[:: max(1, len(pairs) // _MOST_EXAMPLES)][:_MOST_EXAMPLES]:
        reporter.check()
        part = _part(pair)
        found = segment_pair(backend, part, info)
        truth = part.labels if part.labels.ndim == 3 else part.labels[None]
        image = part.image if part.image.ndim == 3 else part.image[None]
        plane = int((truth > 0).sum((1, 2)).argmax())
        note = f"{len(np.unique(truth[truth > 0]))} annotated, {len(np.unique(found[found > 0]))} found"
        examples.append(Example(pair.name, image[plane], truth[plane], found[plane], note))
    return draw_examples(examples)


def _part(pair: Pair) -> Pair:
    """The middle of a large pair."""
    box = []
    for size, most in zip(pair.image.shape, _LARGEST[pair.image.ndim], strict=True):
        start = max(0, (size - most) // 2)
        box.append(slice(start, start + min(size, most)))
    inside = tuple(box)
    return replace(pair, image=pair.image[inside], labels=pair.labels[inside], known=None)
