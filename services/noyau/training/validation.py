"""What is measured while training: loss, foreground overlap and offset error on fixed crops of unseen images."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from noyau.models.networks import DenseNetwork
from noyau.training.batches import Batch, BatchSource
from noyau.training.devices import where_is
from noyau.training.loop import Validator


def crop_validator(source: BatchSource, count: int) -> Validator:
    """A validator over `count` fixed crops without augmentation."""
    crops = source.fixed_crops(count)

    def validate(network: DenseNetwork, step: int) -> Mapping[str, float]:
        return crop_figures(network, crops)

    return validate


@torch.inference_mode()
def crop_figures(network: DenseNetwork, crops: list[Batch]) -> dict[str, float]:
    """Pooled foreground IoU at probability 0.5 and mean offset error (voxels) over all foreground voxels."""
    common = union = voxels = 0.0
    error = 0.0
    for images, targets in crops:
        output = network(images.to(where_is(network))).float().cpu()
        known = targets.foreground_weight > 0
        truth = (targets.foreground > 0.5) & known
        found = (output[:, :1] > 0) & known
        common += float((truth & found).sum())
        union += float((truth | found).sum())
        where = targets.offset_weight > 0
        distance = (output[:, targets.foreground.shape[1] :] - targets.offsets).square().sum(1, keepdim=True).sqrt()
        error += float(distance[where].sum())
        voxels += float(where.sum())
    return {"foreground_iou": common / max(union, 1.0), "offset_error": error / max(voxels, 1.0)}
