"""Pictures in other formats, ready to be converted: an array with named axes and what its file says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from noyau.domain.axes import Axes
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box

LARGE = 16
"""A trailing axis counts as channels only when the two others are longer than this."""
COLOURS = ("red", "green", "blue", "alpha")


class Sliceable(Protocol):
    """A numpy array, a memory map or a lazy Zarr view of a TIFF."""

    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True)
class Raster:
    """Pixels that are read slab by slab.

    Attributes:
        data: the array; `axes` names its dimensions in order.
        axes: e.g. `tzcyx`, `yxc`.
        spacing: micrometres per voxel by axis name, only where the file says so.
        channels: names; empty where the file gives none.
        statements: what the user should know (a guess that was made, a part that was left out).
    """

    data: Sliceable
    axes: Axes
    spacing: dict[str, float]
    channels: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        native: np.dtype[Any] = np.dtype(self.data.dtype).newbyteorder("=")
        return native

    def length(self, name: str) -> int:
        return self.axes.size(tuple(self.data.shape), name)

    def read(self, box: Box, time: int, channel: int) -> np.ndarray:
        """Pixels of a box, z/y/x, native endian."""
        z, y, x = box.slices
        parts: dict[str, int | slice] = {"t": time, "c": channel, "z": z, "y": y, "x": x}
        block = np.asarray(self.data[tuple(parts[name] for name in self.axes.names)])
        left = [name for name in self.axes.names if name in "zyx"]
        block = block.transpose([left.index(name) for name in "zyx" if name in left]).reshape(box.shape)
        return np.ascontiguousarray(block, dtype=self.dtype)


def name_axes(shape: tuple[int, ...], axes: str | None, channel_axis: int | None, where: str) -> tuple[Axes, str]:
    """Axis names for an array without any.

    Args:
        shape: of the array.
        axes: the user's word, e.g. `zyx`; wins.
        channel_axis: which dimension is the channels (negative counts from the end).
        where: name for messages.

    Returns:
        the axes, and a sentence that says what was assumed (empty where nothing was).

    Raises:
        InvalidInput: the axes do not fit, or the number of dimensions says nothing.
    """
    ndim = len(shape)
    if axes is not None:
        if len(axes) != ndim:
            raise InvalidInput(f"'{where}' has {ndim} dimensions {shape}, but --axes {axes} names {len(axes)}.")
        return Axes(axes.lower()), ""
    if channel_axis is not None:
        if not -ndim <= channel_axis < ndim or ndim < 3:
            raise InvalidInput(f"'{where}' has {ndim} dimensions {shape}: it has no channel axis {channel_axis}.")
        rest = _default(ndim - 1, where, shape)
        at = channel_axis % ndim
        return Axes(rest[:at] + "c" + rest[at:]), ""
    if ndim in (3, 4) and 2 <= shape[-1] <= 4 and min(shape[-3:-1]) > LARGE:
        names = "yxc" if ndim == 3 else "zyxc"
        return Axes(names), f"The last axis of {shape} is taken for channels (axes {names}); --axes says otherwise."
    names = {4: "czyx", 5: "tczyx"}.get(ndim) or _default(ndim, where, shape)
    return Axes(names), f"The axes of {shape} are taken as {names}; --axes says otherwise." if ndim > 3 else ""


def _default(ndim: int, where: str, shape: tuple[int, ...]) -> str:
    names = {2: "yx", 3: "zyx", 4: "tzyx"}.get(ndim)
    if names is None:
        raise InvalidInput(
            f"'{where}' has {ndim} dimensions {shape}, which Noyau cannot name.",
            "Name them with --axes, an order of t, c, z, y, x.",
        )
    return names
