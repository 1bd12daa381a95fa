"""From a finished run to a model's description."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from noyau.domain.geometry import Index3, VoxelSize
from noyau.domain.model import ModelInfo, VoteParams
from noyau.models.networks import DenseNetwork
from noyau.models.receptive_field import halo_for
from noyau.training.config import TrainConfig
from noyau.training.decoder_defaults import decoder_parameters
from noyau.training.devices import precision_name
from noyau.training.fingerprint import Fingerprint
from noyau.training.scaling import near, scaled_vote

# Chosen on validation images, see the model cards.
VOTE_3D = VoteParams(
    foreground=0.5,
    seed_mass=60.0,
    smooth=(2, 2, 2),
    nms=(5, 6, 6),
    weights=(2, 1, 1),
    radius=14,
    max_offset=(12, 20, 20),
    min_voxels=150,
)
VOTE_2D = VoteParams(
    foreground=0.5,
    seed_mass=8.0,
    smooth=(0, 2, 2),
    nms=(0, 4, 4),
    weights=(1, 1, 1),
    radius=20,
    max_offset=(0, 63, 63),
    min_voxels=15,
)
# Typical nucleus of the training images: micrometres in 3D, pixels in 2D.
_DIAMETER = {3: 13.5, 2: 22.0}
_TILE: dict[int, Index3] = {3: (64, 256, 256), 2: (1, 768, 768)}
# What the trainer knows of a run and its readers want to know; paths of one machine are left out.
_RECORDED = (
    "synthetic_count", "synthetic_fraction", "val", "val_percent", "minutes", "max_steps", "patch", "batch", "lr",
    "warmup", "weight_decay", "clip", "ema", "seed", "augment", "settle", "fragment", "precision", "keep", "patience",
    "parent_share",
)  # fmt: skip


def describe(
    config: TrainConfig,
    network: DenseNetwork,
    version: str,
    step: int,
    elapsed: float,
    *,
    found: Fingerprint | None = None,
    parent: ModelInfo | None = None,
) -> ModelInfo:
    """The description of a trained network, with the exact halo; its digest is filled in when it is packaged.

    Args:
        config: the run.
        network: the trained network.
        version: e.g. `1`.
        step: finished steps.
        elapsed: training seconds.
        found: the data that it was trained on, on the model's grid; decides what the parent does not.
        parent: the model whose weights it started from, and whose decoder parameters it keeps for nuclei of its size.
    """
    flat = config.ndim == 2
    # Another decoder has parameters of its own.
    like = parent if parent is not None and parent.decoder == config.decoder else None
    halo, stride = halo_for(network), network.total_stride
    record = config.record()
    training: dict[str, Any] = {name: record[name] for name in _RECORDED}
    training.update(patch=list(config.patch_shape), precision=precision_name(config))
    training.update(steps=step, minutes_used=round(elapsed / 60.0, 1))
    return ModelInfo(
        name=config.name,
        version=version,
        digest="",
        ndim=config.ndim,
        architecture=config.architecture,
        arguments=dict(config.network_arguments),
        voxel_size=None if config.voxel_size is None else VoxelSize(*config.voxel_size),
        diameter=_diameter(config, found, parent),
        halo=_with_z(halo, 0) if flat else _with_z(halo[1:], halo[0]),
        stride=_with_z(stride, 1) if flat else _with_z(stride[1:], stride[0]),
        tile=_TILE[config.ndim],
        normalisation=config.normalisation,
        decoder=config.decoder,
        parameters=like.parameters if like else decoder_parameters(config, _diameter(config, found, parent)),
        bounded=network.bounded,
        vote=_vote(config, found, like),
        parent="" if parent is None else parent.ref,
        description=f"Cell nuclei in {config.ndim}D fluorescence microscopy, trained by `noyau train`.",
        training=training,
    )


def plain_card(info: ModelInfo) -> str:
    """A model card that says how the weights came about; figures and limits are for whoever measures them."""
    return "\n".join(
        (
            f"# {info.name} version {info.version}",
            "",
            info.description,
            "",
            "| what | value |",
            "|---|---|",
            f"| architecture | {info.architecture}, {info.ndim}D, halo z/y/x {info.halo}, stride {info.stride} |",
            f"| voxel size (um, z/y/x) | {tuple(info.voxel_size) if info.voxel_size else 'works in pixels'} |",
            *(f"| {name} | {value} |" for name, value in info.training.items()),
            "",
            "Not measured yet: run `noyau evaluate` on images that were not trained on.",
            "",
        )
    )


def _vote(config: TrainConfig, found: Fingerprint | None, parent: ModelInfo | None) -> VoteParams:
    """The parent's where the data has nuclei of its size; for others its parameters are scaled.

    The parent's limit of certainty was chosen on images of its own, so it does not hold for nuclei of another size.
    """
    if parent is not None:
        if found is None or not _other_size(config, found, parent):
            return parent.vote
        reference = parent.diameter / _edge(config)
        return replace(scaled_vote(parent.vote, config.ndim, found.diameter, reference), min_certainty=0.0)
    shipped = VOTE_2D if config.ndim == 2 else VOTE_3D
    return shipped if found is None else scaled_vote(shipped, config.ndim, found.diameter)


def _diameter(config: TrainConfig, found: Fingerprint | None, parent: ModelInfo | None) -> float:
    """Of the typical nucleus, micrometres; pixels for a model that works in pixels."""
    if parent is not None and (found is None or not _other_size(config, found, parent)):
        return parent.diameter
    if found is None:
        return _DIAMETER[config.ndim]
    return float(f"{found.diameter * _edge(config):.3g}")


def _other_size(config: TrainConfig, found: Fingerprint, parent: ModelInfo) -> bool:
    return not near(found.diameter, parent.diameter / _edge(config))


def _edge(config: TrainConfig) -> float:
    """Edge of a cube as large as a voxel, micrometres; 1 for a model that works in pixels."""
    if config.voxel_size is None:
        return 1.0
    return float(prod(config.voxel_size[3 - config.ndim :]) ** (1 / config.ndim))


def _with_z(lateral: tuple[int, ...], z: int) -> Index3:
    y, x = lateral
    return (z, y, x)
