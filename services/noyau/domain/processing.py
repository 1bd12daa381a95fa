"""What a package of another maker does to its input and output, as data: the processing steps of bioimage.io.

Steps and formulas: bioimage.io model description 0.5, `inputs[].preprocessing` and `outputs[].postprocessing`.
Steps that depend on the image (percentiles, mean) are measured once over the whole image and then frozen, so that
every window of it is treated alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noyau.domain.errors import InvalidInput

MEASURED = ("scale_range", "zero_mean_unit_variance")
"""Steps that need to see the whole image."""

KNOWN = (
    "binarize", "clip", "ensure_dtype", "fixed_zero_mean_unit_variance", "scale_linear", "sigmoid", "softmax",
    *MEASURED,
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One processing step: its name in the bioimage.io description and its arguments."""

    id: str
    kwargs: dict[str, Any] = field(default_factory=dict)


def steps_from(stored: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    """Steps from their JSON form.

    Raises:
        InvalidInput: a step is not known, or an argument is not of the kind that it must be.
    """
    return tuple(_checked(Step(str(one["id"]), dict(one.get("kwargs") or {}))) for one in stored)


def freeze(steps: Sequence[Step], sample: np.ndarray) -> tuple[Step, ...]:
    """The same steps with those that measure the image replaced by what they come to.

    Args:
        steps: in order.
        sample: all pixels of the image or a regular sample of them, any shape, raw values.
    """
    values = np.asarray(sample, np.float32)
    frozen = []
    for step in steps:
        frozen.append(_measured(step, values) if step.id in MEASURED else step)
        values = apply(frozen[-1:], values)
    return tuple(frozen)


def apply(steps: Sequence[Step], values: np.ndarray, channel_axis: int = 0) -> np.ndarray:
    """Applies frozen steps one after another, in float32.

    Args:
        steps: without any of `MEASURED`.
        values: any shape.
        channel_axis: the axis that `softmax` runs over.
    """
    result = np.asarray(values, np.float32)
    for step in steps:
        result = _apply(step, result, channel_axis)
    return result


def _apply(step: Step, x: np.ndarray, channel_axis: int) -> np.ndarray:
    given = step.kwargs
    if step.id == "ensure_dtype":
        return x
    if step.id == "scale_linear":
        return np.asarray(x * np.float32(given.get("gain", 1.0)) + np.float32(given.get("offset", 0.0)), np.float32)
    if step.id == "fixed_zero_mean_unit_variance":
        return np.asarray((x - np.float32(given["mean"])) / np.float32(given["std"]), np.float32)
    if step.id == "clip":
        return np.asarray(np.clip(x, given.get("min"), given.get("max")), np.float32)
    if step.id == "binarize":
        return np.asarray(x > np.float32(given["threshold"]), np.float32)
    if step.id == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0))), np.float32)
    if step.id == "softmax":
        powers = np.exp(x - x.max(axis=channel_axis, keepdims=True))
        return np.asarray(powers / powers.sum(axis=channel_axis, keepdims=True), np.float32)
    raise InvalidInput(f"The processing step '{step.id}' depends on the image and was not measured.")


def _measured(step: Step, values: np.ndarray) -> Step:
    """A measuring step as the linear one that it comes to for these values."""
    eps = float(step.kwargs.get("eps", 1e-6))
    if step.id == "scale_range":
        ends = [step.kwargs.get("min_percentile", 0.0), step.kwargs.get("max_percentile", 100.0)]
        low, high = (float(v) for v in np.percentile(values.astype(np.float64), ends))
        scale = high - low + eps
    else:
        low, scale = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)) + eps
    return Step("fixed_zero_mean_unit_variance", {"mean": low, "std": scale})


_NUMBERS = {
    "binarize": ("threshold",),
    "clip": ("min", "max"),
    "fixed_zero_mean_unit_variance": ("mean", "std"),
    "scale_linear": ("gain", "offset"),
    "scale_range": ("min_percentile", "max_percentile", "eps"),
    "zero_mean_unit_variance": ("eps",),
}
_NEEDED = {"binarize": ("threshold",), "fixed_zero_mean_unit_variance": ("mean", "std")}


def _checked(step: Step) -> Step:
    """The step with its numbers as plain floats."""
    if step.id not in KNOWN:
        raise InvalidInput(f"The processing step '{step.id}' is not supported.", f"Known are: {', '.join(KNOWN)}.")
    numbers = {}
    for name in _NUMBERS.get(step.id, ()):
        value = step.kwargs.get(name)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]  # one number per channel, of one channel
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise InvalidInput(f"The argument '{name}' of the processing step '{step.id}' is not a number: {value!r}.")
        numbers[name] = float(value)
    missing = [name for name in _NEEDED.get(step.id, ()) if name not in numbers]
    if missing:
        raise InvalidInput(f"The processing step '{step.id}' lacks its argument '{missing[0]}'.")
    return Step(step.id, numbers)
