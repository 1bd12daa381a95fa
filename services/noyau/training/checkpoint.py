"""The complete state of a run on disk, replaced atomically so that a kill never leaves half a file."""

from __future__ import annotations

import errno
import io
import os
import pickle
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from noyau.domain.errors import DamagedData, FailedPrecondition, LimitExceeded, NotFound
from noyau.models.networks import DenseNetwork
from noyau.training.stopping import Best

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best.pt"


@dataclass
class RunState:
    """What a run carries from step to step. Random numbers are functions of the step and need no state.

    Attributes:
        network: trained weights.
        average: exponential moving average of them, what is shipped.
        optimizer: with its moments.
        step: finished steps.
        elapsed: training seconds so far, over all resumptions.
        scaler: of the loss, where half precision is trained with.
        slowdown: what setbacks have left of the learning rate.
        changes: what the run changed of its own configuration, as JSON-ready records, oldest first.
        best: the best validation so far.
    """

    network: DenseNetwork
    average: DenseNetwork
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    elapsed: float = 0.0
    slowdown: float = 1.0
    changes: list[dict[str, Any]] = field(default_factory=list)
    best: Best = field(default_factory=Best)


def save_checkpoint(folder: Path, state: RunState, record: dict[str, Any]) -> Path:
    """Writes the state and the run's configuration; the previous checkpoint stays until the new one is complete.

    Raises:
        LimitExceeded, FailedPrecondition: the disk is full or cannot be written to.
    """
    path = folder / CHECKPOINT_NAME
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict(),
        "step": state.step,
        "elapsed": state.elapsed,
        "slowdown": state.slowdown,
        "changes": state.changes,
        "best": asdict(state.best),
        "record": record,
    }
    _write(path, content, "The previous checkpoint is intact: make room and resume.")
    return path


def save_best(folder: Path, state: RunState) -> None:
    """Keeps the averaged weights of the moment beside the checkpoint. Raises like `save_checkpoint`."""
    content = {"average": state.average.state_dict(), "step": state.step}
    _write(folder / BEST_NAME, content, "The last checkpoint is intact: make room and resume.")


def restore_best(folder: Path, state: RunState) -> None:
    """Makes the best weights the averaged ones of `state`.

    Raises:
        NotFound, DamagedData: they are absent or cannot be read.
    """
    state.average.load_state_dict(_read(folder / BEST_NAME)["average"])


def _write(path: Path, content: dict[str, Any], remedy: str) -> None:
    partial = path.with_suffix(".partial")
    # Through memory: where the disk is full, torch's own writer says so in words of C++ only.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    try:
        with partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # the first error is the one to tell
            partial.unlink(missing_ok=True)
        kind = LimitExceeded if error.errno in (errno.ENOSPC, errno.EDQUOT) else FailedPrecondition
        raise kind(f"The checkpoint '{path}' cannot be written: {error.strerror or error}.", remedy) from error


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The stored values; only tensors and plain values are unpickled.

    Raises:
        NotFound: there is no checkpoint.
        DamagedData: it cannot be read.
    """
    return _read(folder / CHECKPOINT_NAME)


def _read(path: Path) -> dict[str, Any]:
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
    if stored.get("scaler"):
        state.scaler.load_state_dict(stored["scaler"])
    state.step, state.elapsed = int(stored["step"]), float(stored["elapsed"])
    # Checkpoints of earlier versions lack what follows.
    state.slowdown, state.changes = float(stored.get("slowdown", 1.0)), list(stored.get("changes", []))
    state.best = Best(**stored.get("best", {}))
