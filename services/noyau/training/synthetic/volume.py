"""One synthetic image with its ideal labels, from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from noyau.domain.errors import InvalidInput, LimitExceeded
from noyau.domain.geometry import Index3, VoxelSize, as_index
from noyau.training.synthetic.labels import (
    Raster,
    largest_pieces,
    rasterise,
    too_small,
    touching_fraction,
    without,
)
from noyau.training.synthetic.optics import Optics, draw_optics, expose, record_light
from noyau.training.synthetic.recipe import Recipe
from noyau.training.synthetic.scene import Scene, draw_scene
from noyau.training.synthetic.texture import draw_chromatin, paint, scatter_debris

LEAST_VOXELS = 16
MOST_VOXELS = 2**29
# Goes up whenever a seed gives other pixels than before.
GENERATOR_VERSION = 4


@dataclass(frozen=True, eq=False)
class SyntheticVolume:
    """An image and its truth.

    Attributes:
        image: uint16 or uint8 (Z, Y, X).
        labels: uint32 (Z, Y, X), ids 1..n without gaps; the ideal objects, not what the optics left of them, or as
            much larger as the recipe says that annotators draw them.
        voxel_size: micrometres.
        record: everything that was drawn, as JSON-able values.
    """

    image: np.ndarray
    labels: np.ndarray
    voxel_size: VoxelSize
    record: dict[str, Any]

    @property
    def count(self) -> int:
        """Number of nuclei."""
        return int(self.labels.max(initial=0))


def generate(
    shape_zyx: Sequence[int],
    voxel_size: VoxelSize,
    seed: int,
    recipe: Recipe | None = None,
    *,
    count: int | None = None,
    density: float | None = None,
) -> SyntheticVolume:
    """Makes a synthetic image. The same arguments give the same bytes.

    Args:
        shape_zyx: voxels z/y/x; one plane makes a 2D image.
        voxel_size: micrometres; of a 2D image only y and x matter.
        seed: not negative.
        recipe: what may be drawn; None is `Recipe.wide()`.
        count: nuclei to place (those that fall outside or are cut to nothing are not in the labels).
        density: fraction of the space to fill with nuclei; `count` wins.

    Raises:
        InvalidInput: the shape, the seed, the count or the density make no sense.
        LimitExceeded: the image would not fit into memory.
    """
    shape = _checked(shape_zyx, seed, count, density)
    recipe = recipe or Recipe.wide()
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)]
    scene = draw_scene(streams[0], recipe.scene, shape, voxel_size, count=count, density=density)
    # A microscope samples z coarsely but blurs it finely: simulate at about cubic voxels, keep every k-th plane.
    low, high = recipe.optics.z_subsampling
    step = 1 if shape[0] == 1 else int(np.clip(round(voxel_size.z / voxel_size.y), low, high))
    fine_voxel = VoxelSize(voxel_size.z / step, voxel_size.y, voxel_size.x)
    optics = draw_optics(streams[3], recipe.optics, scene.diameter)
    margin = _margin(scene, optics, flat=shape[0] == 1)
    fine, labels = _truth(scene, shape, voxel_size, fine_voxel, step, margin)
    image, drawn = _photograph(recipe, scene, fine, fine_voxel, step, optics, streams[1:])
    record = {
        "generator": GENERATOR_VERSION,
        "recipe": recipe.name,
        "seed": seed,
        "z_subsampling": step,
        "nuclei": int(labels.max(initial=0)),
        "touching": touching_fraction(labels),
        "scene": scene.record,
        **drawn,
    }
    return SyntheticVolume(image, labels.astype(np.uint32), voxel_size, record)


def _photograph(
    recipe: Recipe,
    scene: Scene,
    fine: Raster,
    fine_voxel: VoxelSize,
    step: int,
    optics: Optics,
    streams: Sequence[np.random.Generator],
) -> tuple[np.ndarray, dict[str, Any]]:
    """Texture, optics and camera: the image, z subsampled, and what was drawn for it.

    The stages have a random stream each (texture, debris, optics, camera), so that a change of one recipe range
    does not change what the other stages draw.
    """
    texture, litter, lens, camera = streams
    chromatin = draw_chromatin(texture, recipe.texture)
    signal = paint(texture, fine, scene.nuclei, fine_voxel, recipe.texture, chromatin)
    debris = int(litter.poisson(scene.record["debris"] * len(scene.nuclei)))
    scatter_debris(litter, signal, fine_voxel, scene.diameter, debris)
    blurred = lens.random(len(scene.nuclei) + 1) < (optics.defocus if signal.shape[0] == 1 else 0)
    blurred[0] = False
    defocused = blurred[fine.labels] if blurred.any() else None
    light = expose(lens, signal, fine_voxel, optics, scene.diameter, defocused)[step // 2 :: step]
    return record_light(camera, light, optics), {"chromatin": asdict(chromatin), "optics": asdict(optics)}


def _margin(scene: Scene, optics: Optics, *, flat: bool) -> tuple[float, float, float]:
    """How far outside the nuclei their outlines are drawn, micrometres z/y/x."""
    lateral = scene.record["outline"] * optics.psf
    axial = 0.0 if flat else scene.record["outline_axial"] * optics.psf * optics.elongation
    return axial, lateral, lateral


def _checked(shape_zyx: Sequence[int], seed: int, count: int | None, density: float | None) -> Index3:
    if len(shape_zyx) != 3 or min(shape_zyx) < 1:
        raise InvalidInput(
            f"A synthetic image cannot have the shape {tuple(shape_zyx)}.", "Give three positive numbers z,y,x."
        )
    if prod(shape_zyx) > MOST_VOXELS:
        raise LimitExceeded(
            f"A synthetic image of {prod(shape_zyx):,} voxels does not fit into memory.",
            f"Make several of at most {MOST_VOXELS:,} voxels.",
        )
    if seed < 0:
        raise InvalidInput(f"The seed {seed} is negative.", "Give a seed of 0 or more.")
    if count is not None and count < 0:
        raise InvalidInput(f"The number of nuclei {count} is negative.")
    if density is not None and not 0 <= density <= 0.7:
        raise InvalidInput(f"The density {density} is not possible.", "Give a fraction of the space from 0 to 0.7.")
    return as_index(shape_zyx)


def _truth(
    scene: Scene,
    shape: Index3,
    voxel: VoxelSize,
    fine_voxel: VoxelSize,
    step: int,
    margin: tuple[float, float, float],
) -> tuple[Raster, np.ndarray]:
    """The raster on the fine grid, and the labels 1..n on the grid of the image; both hold the same nuclei.

    The labels are larger than the raster by the margin, micrometres z/y/x.
    """
    count = len(scene.nuclei)
    fine_shape = (shape[0] * step, shape[1], shape[2])
    raster = rasterise(scene.nuclei, fine_shape, fine_voxel)
    if count == 0:
        return raster, raster.labels[step // 2 :: step]
    fine = largest_pieces(raster.labels, connectivity=6)
    drawn = rasterise(scene.nuclei, fine_shape, fine_voxel, margin).labels if max(margin) > 0 else fine
    labels = largest_pieces(np.ascontiguousarray(drawn[step // 2 :: step]), connectivity=26)
    labels = without(labels, too_small(labels, scene.nuclei, voxel, LEAST_VOXELS), count)
    # What lies beyond the border gives no light, even where its outline reaches in.
    shining = np.bincount(fine.ravel(), minlength=count + 1) > 0
    present = shining & (np.bincount(labels.ravel(), minlength=count + 1) > 0)
    fine = without(fine, np.flatnonzero(~present), count)
    present[0] = False
    table = np.where(present, np.cumsum(present), 0).astype(np.int32)
    return Raster(fine, raster.level, raster.second), table[labels]
