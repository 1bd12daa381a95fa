"""The complete state of a run on disk, replaced atomically so that a kill never leaves half a file."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from noyau.domain.errors import DamagedData, FailedPrecondition, NotFound

CHECKPOINT_NAME = "checkpoint.pt"


@dataclass
class RunState:
    """What a run carries from step to step. Random numbers are functions of the step and need no state.

    Attributes:
        network: trained weights.
        average: exponential moving average of them, what is shipped.
        optimizer: with its moments.
        step: finished steps.
        elapsed: training seconds so far, over all resumptions.
    """

    network: torch.nn.Module
    average: torch.nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    elapsed: float = 0.0


def save_checkpoint(folder: Path, state: RunState, record: dict[str, Any]) -> Path:
    """Writes the state and the run's configuration; the previous checkpoint stays until the new one is complete."""
    path = folder / CHECKPOINT_NAME
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "network": state.network.state_dict(),
            "average": state.average.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "step": state.step,
            "elapsed": state.elapsed,
            "record": record,
        },
        partial,
    )
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The stored values; only tensors and plain values are unpickled.

    Raises:
        NotFound: there is no checkpoint.
        DamagedData: it cannot be read.
    """
    path = folder / CHECKPOINT_NAME
    if not path.is_file():
        raise NotFound(f"There is no checkpoint at '{path}'.", "Start the run without resuming.")
    try:
        stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise DamagedData(f"The checkpoint '{path}' cannot be read: {error}.") from error
    return stored


def restore(folder: Path, state: RunState, architecture: dict[str, Any]) -> None:
    """Continues `state` where the checkpoint in `folder` stopped.

    Args:
        folder: of the run.
        state: freshly built network, average and optimizer.
        architecture: values of the run's record that must be equal, or the weights do not fit.

    Raises:
        FailedPrecondition: the checkpoint belongs to another network.
    """
    stored = read_checkpoint(folder)
    for key, value in architecture.items():
        if stored["record"].get(key) != value:
            raise FailedPrecondition(
                f"The checkpoint in '{folder}' was trained with another {key}.",
                "Resume with the arguments of the first call, or choose another output folder.",
            )
    state.network.load_state_dict(stored["network"])
    state.average.load_state_dict(stored["average"])
    state.optimizer.load_state_dict(stored["optimizer"])
    state.step, state.elapsed = int(stored["step"]), float(stored["elapsed"])
