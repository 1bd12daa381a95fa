"""Which levels a label pyramid has and where they lie: the image's own coordinate system without its channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from noyau.domain.axes import Axes
from noyau.domain.geometry import Index3, as_index
from noyau.domain.image import ImageInfo
from noyau.storage.multiscale import Level, Multiscale
from noyau.storage.pyramid import coarser, plan_steps


class PyramidLevel(Protocol):
    """One level of a pyramid: shape z/y/x, and full-resolution voxels per voxel z/y/x."""

    @property
    def shape(self) -> Index3: ...

    @property
    def factor(self) -> Index3: ...


@dataclass(frozen=True)
class LabelLevel:
    """A level as the sink writes it. `step` is the factor from the level before."""

    shape: Index3
    factor: Index3
    step: Index3


def plan_label_levels(shape: Index3, steps: Sequence[Index3]) -> tuple[LabelLevel, ...]:
    """Levels from the steps between them; the first is the volume itself."""
    levels = [LabelLevel(shape, (1, 1, 1), (1, 1, 1))]
    for step in steps:
        before = levels[-1]
        factor = as_index(f * s for f, s in zip(before.factor, step, strict=True))
        levels.append(LabelLevel(coarser(before.shape, step), factor, step))
    return tuple(levels)


def image_steps(multiscale: Multiscale | None, base: int, like: ImageInfo) -> list[Index3]:
    """Steps of the image's own pyramid above the level that was segmented, so that both are shown at the same level.

    Falls back to a pyramid of our own where the image has none, or one with factors that are no whole numbers.
    """
    spacing = tuple(like.voxel_size) if like.voxel_size else (1.0, 1.0, 1.0)
    own = plan_steps(like.shape, spacing)
    if multiscale is None or len(multiscale.levels) <= base + 1:
        return own
    steps = []
    for fine, coarse in zip(multiscale.levels[base:-1], multiscale.levels[base + 1 :], strict=True):
        ratios = [_ratio(multiscale.axes, fine, coarse, axis) for axis in "zyx"]
        if any(abs(r - round(r)) > 0.02 * r or round(r) < 1 for r in ratios):
            return own
        steps.append(as_index(round(r) for r in ratios))
    return steps


def label_multiscale(
    image: Multiscale | None, base: int, like: ImageInfo, levels: Sequence[LabelLevel], name: str
) -> Multiscale:
    """The label group's metadata.

    A coarse label voxel repeats the first voxel of its block, so every level has the translation of the finest one.

    Args:
        image: metadata of the image; None where there is none, then `like.voxel_size` in micrometres is used.
        base: level of the image that was segmented.
        like: that level.
        levels: of the label pyramid.
        name: of the label group.
    """
    source = image or _from_info(like)
    names = source.axes.names.replace("c", "")
    if "t" in names[1:]:
        names = "".join(name for name in "tzyx" if name in names)  # NGFF wants time first, whatever the image does
    plain = source.ordered(names)
    first = plain.levels[base if image else 0]
    made = []
    for number, level in enumerate(levels):
        factor = dict(zip("zyx", level.factor, strict=True))
        scale = tuple(s * factor.get(n, 1) for n, s in zip(plain.axes.names, first.scale, strict=True))
        made.append(Level(str(number), scale, first.translation))
    return replace(plain, levels=tuple(made), name=name)


def _ratio(axes: Axes, fine: Level, coarse: Level, axis: str) -> float:
    if axis not in axes:
        return 1.0
    at = axes.index(axis)
    return coarse.scale[at] / fine.scale[at] if fine.scale[at] > 0 else 0.0


def _from_info(like: ImageInfo) -> Multiscale:
    size = dict(zip("zyx", like.voxel_size, strict=True)) if like.voxel_size else {}
    names = like.axes.names
    scale = tuple(size.get(n, 1.0) for n in names)
    units = tuple("micrometer" if n in size else None for n in names)
    return Multiscale(like.axes, units, (Level("0", scale, (0.0,) * len(names)),))
