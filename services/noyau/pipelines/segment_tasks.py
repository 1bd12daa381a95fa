"""The tasks of one frame: tiles to predict, and units to decode as soon as the tiles around them are there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from noyau.assembly.objects import summarise
from noyau.compute.executor import Step, Task
from noyau.decoding import vote
from noyau.decoding.device import Decode
from noyau.domain.geometry import Box
from noyau.inference.backend import Backend
from noyau.pipelines.frames import Frame
from noyau.pipelines.segment_windows import decode_window, window_box
from noyau.planning.grid import Tile
from noyau.planning.units import Unit

PREDICT = "predict"
DECODE = "decode"

Check = Callable[[], None]


def predict_tasks(
    frame: Frame, backend: Backend, finished: Collection[str], batch: int, check: Check
) -> tuple[list[Task], dict[int, str]]:
    """Tasks that predict the tiles which are not finished yet; each returns the names of its tiles.

    Args:
        frame: the frame.
        backend: the network.
        finished: names of finished tiles.
        batch: tiles per task.
        check: raises when the work should stop.

    Returns:
        The tasks, and the key of the task of each tile by the tile's index.
    """
    tiles = [tile for tile in frame.plan.grid.tiles if tile.name not in finished]
    groups = [tuple(tiles[i : i + batch]) for i in range(0, len(tiles), batch)]
    tasks = [
        Task(
            key=f"predict:{group[0].name}",
            group=PREDICT,
            steps=(
                Step("read", partial(_read, frame, group)),
                Step("network", partial(_forward, backend, check)),
                Step("store", partial(_store, frame, group)),
            ),
        )
        for group in groups
    ]
    return tasks, {tile.index: task.key for task, group in zip(tasks, groups, strict=True) for tile in group}


def decode_tasks(frame: Frame, owners: Mapping[int, str], finished: Collection[str], decode: Decode) -> list[Task]:
    """Tasks that decode the units which are not finished yet; each returns the name of its unit.

    A decoder that is not local decodes each unit with its overlap (see `noyau.pipelines.segment_windows`).

    Args:
        frame: the frame.
        owners: key of the task that predicts a tile, by the tile's index; finished tiles are absent.
        finished: names of finished units.
        decode: the decoder of the device.
    """
    tasks = []
    for unit in frame.units:
        if unit.name not in finished:
            tiles = frame.plan.grid.touching(_decoder_box(frame, unit))
            needs = frozenset(owners[i] for i in tiles if i in owners)
            step = Step("decode", partial(_decode, frame, unit, decode))
            tasks.append(Task(f"decode:{unit.name}", DECODE, (step,), needs))
    return tasks


def _read(frame: Frame, tiles: tuple[Tile, ...], _: Any) -> np.ndarray:
    """Normalised windows, float32 (N, Z, Y, X)."""
    return np.stack([frame.window(tile.padded) for tile in tiles])


def _forward(backend: Backend, check: Check, windows: np.ndarray) -> np.ndarray:
    return backend.predict(windows, check=check)


def _store(frame: Frame, tiles: tuple[Tile, ...], predictions: np.ndarray) -> list[str]:
    for tile, prediction in zip(tiles, predictions, strict=True):
        inner = tile.core.relative_to(tile.padded.start).slices
        frame.predictions.write(tile, prediction[(slice(None), *inner)])
    return [tile.name for tile in tiles]


def _decoder_box(frame: Frame, unit: Unit) -> Box:
    """The part of the model's grid that decides about the labels of a unit of the image."""
    plan = frame.plan
    if plan.decoder is not None:
        return plan.scaling.to_model(window_box(frame, unit, plan.decoder))
    return plan.scaling.to_model(unit.box).grown(vote.halo(plan.vote)).clipped(plan.scaling.shape)


def _decode(frame: Frame, unit: Unit, decode: Decode, _: Any) -> str:
    plan = frame.plan
    if plan.decoder is not None:
        return decode_window(frame, unit, plan.decoder)
    block = _decoder_box(frame, unit)
    core = plan.scaling.to_model(unit.box)
    prediction = frame.predictions.read(block)
    found = decode(prediction, block.start, plan.scaling.shape, plan.vote, core=core)
    labels = plan.scaling.labels_to_image(found.labels, core.start, unit.box)
    foreground = plan.scaling.labels_to_image(prediction[0], block.start, unit.box)
    frame.provisional.write(unit.name, labels, summarise(labels, unit.box.start, foreground))
    return unit.name
