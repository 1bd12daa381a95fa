"""A training configuration from the fingerprint of the data, with the reason for each choice.

What is not chosen here keeps the defaults of `TrainConfig`, which are those of the shipped models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt
from typing import Any

from noyau.domain.training_jobs import TrainMode
from noyau.training.fingerprint import NOMINAL, Fingerprint, Spacing

# Patches hold some nuclei in context: this many extents per axis, as those of the shipped models do. Nuclei much
# smaller than the networks are made for get no smaller patches: one below the field of view is mostly border.
_EXTENTS = {3: 4.5, 2: 8.5}
_LEAST_EXTENT = 0.8
# Voxels of a patch that pay: more is slow on a CPU, less starves a GPU.
_CPU_VOXELS, _GPU_VOXELS = {3: 220_000, 2: 70_000}, {3: 1_000_000, 2: 600_000}
# Memory for training per voxel of a batch, bytes: activations and gradients of the shipped networks in float32, with
# room for the framework's workspace. Where it does not suffice, the run shrinks its patch.
_BYTES = {3: 2_500, 2: 2_500}
_MEMORY_SHARE = 0.5
# Fine-tuning is for images of one kind. As varied as the shipped models were trained, ten crops taught little more than
# three; what the microscope never does need not be learned again.
_NEAR = {
    "zoom_wide_share": 0.05, "zoom_sd": 0.1, "zoom_axis": 0.08, "gain": 0.4, "offset": 0.03, "gamma": 0.15,
    "blur": 0.1, "bias_field": 0.15, "attenuation": 0.1, "noise": 0.25, "noise_read": 0.05, "noise_shot": 0.06,
    "thin_planes": 0.05,
}  # fmt: skip
# Nuclei darker by so many standard deviations of what lies around them are dark nuclei, not dim ones.
_DARK = -1.0
_MOST_BATCH = 16
# Nuclei to validate on, below which the best step is a matter of luck and the last one is kept.
_ENOUGH_NUCLEI = 100


@dataclass(frozen=True)
class Budget:
    """What a run may use.

    Attributes:
        memory: bytes of the device that trains.
        gpu: whether that is a GPU.
        minutes, steps: as the user said.
    """

    memory: int
    gpu: bool = False
    minutes: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Choice:
    """Values of `TrainConfig` by field name, and a reason for each."""

    values: dict[str, Any]
    reasons: dict[str, str]


def choose(found: Fingerprint, mode: TrainMode, stride: Sequence[int], budget: Budget, validated: int) -> Choice:
    """Chooses what the data and the machine decide.

    Args:
        found: the data.
        mode: fine-tuning takes smaller steps, and fewer.
        stride: total stride of the network, voxels per axis.
        budget: of the run.
        validated: labelled nuclei in the images to validate on; 0 where there are none.
    """
    patch = _patch(found, stride, budget)
    values: dict[str, Any] = {"patch": patch, "batch": _batch(found, patch, budget)}
    reasons = {
        "patch": f"nuclei span {_list(found.extent)} voxels, images {_list(found.shape)}",
        "batch": f"{budget.memory / 2**30:.1f} GiB of {'GPU' if budget.gpu else 'main'} memory",
    }
    values["fragment"] = int(0.02 * found.size)
    reasons["fragment"] = f"the median nucleus has {found.size:.0f} voxels"
    dark = found.contrast < _DARK
    values["normalisation"] = {"inverted": dark}
    if mode != "finetune":
        # A dense image has little background, and its dark percentile must still be background.
        low = round(min(25.0, max(1.0, 50.0 * (1.0 - found.foreground))), 1)
        values["normalisation"] = {"low": low, "high": 99.8, "inverted": dark}
        reasons["normalisation"] = f"{found.foreground:.0%} of the voxels are nucleus"
    else:
        values["augment"] = dict(_NEAR)
        reasons["augment"] = "fine-tuning stays near the sizes and the looks of its data"
    reasons["normalisation.inverted"] = f"nuclei stand out by {found.contrast:.1f} standard deviations of the ground"
    values["lr"] = 1e-3 if mode == "finetune" else 3e-3
    reasons["lr"] = f"mode {mode}"
    _schedule(found, mode, prod(patch), budget, validated, values, reasons)
    return Choice(values, reasons)


def working_grid(found: Fingerprint) -> tuple[Spacing | None, str]:
    """The voxel size at which a model from scratch works, micrometres z/y/x, and why.

    Networks are made for nuclei of some 9 x 18 x 18 voxels. Much finer images are taken coarser (by up to 6), much
    coarser ones finer (by up to 2); others stay as they are. 2D models work in pixels.

    Args:
        found: the data on its own grid.
    """
    if found.ndim == 2 or found.voxel_size is None:
        return None, "planes are taken in pixels" if found.ndim == 2 else "no image says its voxel size"
    lateral = _step((found.extent[1] + found.extent[2]) / 2 / NOMINAL[3][1])
    axial = _step(found.extent[0] / NOMINAL[3][0])
    z, y, x = (size * step for size, step in zip(found.voxel_size, (axial, lateral, lateral), strict=True))
    same = axial == lateral == 1.0
    return (z, y, x), f"nuclei span {_list(found.extent)} voxels of the data" + ("" if same else ", which is resampled")


def _step(ratio: float) -> float:
    """Voxels of the data per voxel of the model; 1 where they are near."""
    return 1.0 if 0.6 < ratio < 1.6 else round(min(6.0, max(0.5, ratio)), 3)


def _schedule(
    found: Fingerprint, mode: TrainMode, patch: int, budget: Budget, validated: int, values: dict[str, Any],
    reasons: dict[str, str],
) -> None:  # fmt: skip
    """Steps, and what depends on their number."""
    patches = max(1.0, found.voxels / patch)
    # Ten labelled crops are worth more than three only if each is looked at as often.
    wanted = _clip(90 * patches, 150, 2000) if mode == "finetune" else _clip(300 * sqrt(patches), 600, 20_000)
    steps = budget.steps or wanted
    values.update(minutes=budget.minutes, max_steps=budget.steps)
    if budget.steps is None and budget.minutes is None:
        values["max_steps"] = wanted
        reasons["max_steps"] = f"{found.voxels:,} voxels are {patches:.0f} patches"
    values["warmup"] = _clip(steps / 20, 5, 50)
    # The average should forget the beginning well before the end.
    values["ema"] = round(min(0.998, max(0.9, 1.0 - 20.0 / steps)), 4)
    reasons["warmup"] = reasons["ema"] = f"{steps} steps"
    values["report_every"] = _clip(steps / 40, 5, 50)
    values["checkpoint_minutes"] = 2.0
    if validated:
        values["validate_every"] = _clip(steps / 20, 10, 500)
    if validated >= _ENOUGH_NUCLEI:
        values.update(keep="best", patience=10)
        reasons["keep"] = f"{validated} nuclei to validate on"


def _patch(found: Fingerprint, stride: Sequence[int], budget: Budget) -> tuple[int, ...]:
    """Multiples of the stride: some extents of a nucleus, not more than the images have, nor than pays or fits."""
    most = (_GPU_VOXELS if budget.gpu else _CPU_VOXELS)[found.ndim]
    most = min(most, int(budget.memory * _MEMORY_SHARE / _BYTES[found.ndim] / 2))
    factor = _EXTENTS[found.ndim]
    counts = [
        max(2, min(ceil(factor * max(extent, _LEAST_EXTENT * nominal) / s), ceil(size / s)))
        for extent, nominal, size, s in zip(found.extent, NOMINAL[found.ndim], found.largest, stride, strict=True)
    ]
    while prod(c * s for c, s in zip(counts, stride, strict=True)) > most and max(counts) > 2:
        axis = max((a for a, c in enumerate(counts) if c > 2), key=lambda a: counts[a] * stride[a])
        counts[axis] -= 1
    return tuple(c * s for c, s in zip(counts, stride, strict=True))


def _batch(found: Fingerprint, patch: tuple[int, ...], budget: Budget) -> int:
    fitting = int(budget.memory * _MEMORY_SHARE / _BYTES[found.ndim] / prod(patch))
    return max(1, min(fitting, _MOST_BATCH if budget.gpu else 2))


def _clip(value: float, low: int, high: int) -> int:
    return int(min(max(round(value), low), high))


def _list(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
