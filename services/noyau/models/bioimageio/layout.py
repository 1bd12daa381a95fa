"""Which images another maker's network takes and what it gives: axes, sizes, margins and processing, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Index3, VoxelSize, as_index
from noyau.domain.processing import MEASURED, steps_from
from noyau.models.bioimageio.objects import LABELS, ObjectRule, guess_rule
from noyau.models.bioimageio.reading import SPATIAL, Axis, Description, Parameterised, Reference, Tensor

# The vote that joins the parts of an object needs them in both windows, so the margin is about an object wide.
OVERLAP = {2: (0, 48, 48), 3: (8, 32, 32)}
"""Least margin z/y/x of a window, voxels: objects up to this size are whole in some window."""

_MICROMETRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}


@dataclass(frozen=True)
class Layout:
    """How the model is run.

    Attributes:
        ndim: 2 or 3.
        processing: what `run_foreign` and the backend need, as JSON: `input` with `axes`, `dtype`, `steps` and `sizes`
            (for each spatial axis smallest size and step, step 0 for a fixed size), `output` with `index`, `axes` and
            `steps`, and `objects`, an `ObjectRule`.
        rule: what the channels mean.
        halo, stride, tile: as in `ModelInfo`.
        voxel_size: micrometres, where the description gives a length.
    """

    ndim: int
    processing: dict[str, Any]
    rule: ObjectRule
    halo: Index3
    stride: Index3
    tile: Index3
    voxel_size: VoxelSize | None


def lay_out(found: Description, wanted: ObjectRule | None) -> Layout:
    """The layout of a model with one image as input.

    Args:
        found: the description.
        wanted: what the caller says of the output; None takes it from the description.

    Raises:
        InvalidInput: the model needs something that the service does not do; the message says what.
    """
    source = _single_input(found)
    axes = _spatial(source)
    index = wanted.output if wanted else 0
    if not 0 <= index < len(found.outputs):
        raise InvalidInput(f"The model has {len(found.outputs)} outputs, and output {index} was asked for.")
    target = found.outputs[index]
    _check_output(source, target)
    rule = wanted or guess_rule(target.channels, target.is_integer, f"{target.id} {target.description}")
    rule = rule.checked(len(target.channels))
    sizes = {name: _size(axis, axes) for name, axis in axes.items()}
    processing = {
        "input": {
            "axes": source.axis_names,
            "dtype": _dtype(source),
            "steps": _steps(source, "preprocessing"),
            "sizes": sizes,
        },
        "output": {"index": index, "axes": target.axis_names, "steps": _steps(target, "postprocessing")},
        "objects": {
            "kind": rule.kind,
            "foreground": rule.foreground,
            "border": rule.border,
            "threshold": rule.threshold,
        },
    }
    return Layout(len(axes), processing, rule, *_tiling(sizes, target, rule), _voxel_size(axes))


def _single_input(found: Description) -> Tensor:
    needed = [tensor for tensor in found.inputs if not tensor.optional]
    if len(found.inputs) != 1 or len(needed) != 1:
        raise InvalidInput(f"The model takes {len(found.inputs)} inputs; models with one image as input can be run.")
    source = needed[0]
    odd = [axis.name for axis in source.axes if axis.type not in ("batch", "channel", "space")]
    if odd:
        raise InvalidInput(f"The model's input has the axis '{odd[0]}'; batch, channel, z, y and x can be filled.")
    if len(source.channels) != 1:
        raise InvalidInput(
            f"The model takes {len(source.channels)} channels ({', '.join(source.channels)[:100]}); models that take "
            "one can be run."
        )
    return source


def _spatial(tensor: Tensor) -> dict[str, Axis]:
    axes = {axis.name: axis for axis in tensor.axes if axis.type == "space"}
    if tuple(name for name in SPATIAL if name in axes) not in (("y", "x"), SPATIAL) or set(axes) - set(SPATIAL):
        raise InvalidInput(f"The spatial axes {', '.join(axes) or '(none)'} are not y and x, or z, y and x.")
    names = tensor.axis_names
    if len(set(names)) != len(names):
        raise InvalidInput(f"The axes {', '.join(names)} of '{tensor.id}' are not all different.")
    return axes


def _check_output(source: Tensor, target: Tensor) -> None:
    """The output must lie on the grid of the input."""
    before, after = _spatial(source), _spatial(target)
    if set(before) != set(after) or any(axis.type not in ("batch", "channel", "space") for axis in target.axes):
        raise InvalidInput(f"The output '{target.id}' has other axes ({', '.join(target.axis_names)}) than the image.")
    for name, axis in after.items():
        size, whole = axis.size, before[name]
        same = isinstance(size, int) and size == whole.size
        if isinstance(size, Reference):
            same = (size.tensor_id, size.axis_id, size.offset) == (source.id, name, 0)
        if not same or axis.scale != whole.scale:
            raise InvalidInput(
                f"The output '{target.id}' is larger or smaller than the image along {name}; maps of the image's size "
                "can be used."
            )


def _size(axis: Axis, axes: dict[str, Axis]) -> list[int]:
    """Smallest size and step of an axis."""
    size = axis.size
    if isinstance(size, Reference):
        other = axes.get(size.axis_id)
        if other is None or size.offset or other.scale != axis.scale or isinstance(other.size, Reference):
            raise InvalidInput(f"The size of the axis '{axis.name}' depends on another in a way that is not supported.")
        size = other.size
    if isinstance(size, Parameterised):
        return [size.min, size.step]
    if isinstance(size, int) and 0 < size <= 4096:
        return [size, 0]
    raise InvalidInput(f"The size of the axis '{axis.name}' is not a number that can be used: {size}.")


def _steps(tensor: Tensor, which: str) -> list[dict[str, Any]]:
    given = tensor.preprocessing if which == "preprocessing" else tensor.postprocessing
    steps = [{"id": step.id, "kwargs": step.kwargs} for step in given]
    measured = [step["id"] for step in steps if step["id"] in MEASURED]
    if measured and which == "postprocessing":
        raise InvalidInput(
            f"The model's post-processing '{measured[0]}' needs the whole output, which is never in memory at once."
        )
    for step in given:
        over = step.kwargs.get("axes")
        spatial = [axis.name for axis in tensor.axes if axis.type == "space"]
        if step.id in MEASURED and isinstance(over, list) and not set(spatial) <= set(over):
            raise InvalidInput(f"The model's '{step.id}' treats planes or lines by themselves, which is not supported.")
        if step.kwargs.get("reference_tensor") not in (None, tensor.id):
            raise InvalidInput(f"The model's '{step.id}' refers to another tensor, which is not supported.")
    return [{"id": step.id, "kwargs": step.kwargs} for step in steps_from(steps)]


def _dtype(tensor: Tensor) -> str:
    try:
        kind = np.dtype(tensor.dtype)
    except TypeError:
        kind = np.dtype("O")
    if kind.kind not in "fiu":
        raise InvalidInput(f"The input type '{tensor.dtype[:40]}' is not one of numbers.")
    return kind.name


def _tiling(sizes: dict[str, list[int]], target: Tensor, rule: ObjectRule) -> tuple[Index3, Index3, Index3]:
    """Halo, stride and tile."""
    ndim = len(sizes)
    halos = {axis.name: axis.halo for axis in target.axes}
    halo: list[int] = []
    tile: list[int] = []
    for name, least in zip(SPATIAL, OVERLAP[ndim], strict=True):
        if name not in sizes:
            halo.append(0)
            tile.append(1)
            continue
        size, step = sizes[name]
        margin = max(halos.get(name, 0), least)
        if step == 0:
            # A window of a fixed size has room for a margin on both sides and for something between.
            margin = min(margin, size // 4)
        halo.append(margin)
        tile.append(size - 2 * margin if step == 0 else max(size, 64 if ndim == 3 else 512))
    # The backend fills windows up to a size that the network takes, so tiles may begin anywhere.
    return as_index(halo), (1, 1, 1), as_index(tile)


def _voxel_size(axes: dict[str, Axis]) -> VoxelSize | None:
    if any(axis.unit not in _MICROMETRES for axis in axes.values()):
        return None
    z, y, x = (axes[n].scale * _MICROMETRES[str(axes[n].unit)] if n in axes else 1.0 for n in SPATIAL)
    return VoxelSize(z, y, x)


def joins_by_vote(rule: ObjectRule) -> bool:
    """Whether the network names objects itself, so that their parts are joined by their centres."""
    return rule.kind == LABELS
