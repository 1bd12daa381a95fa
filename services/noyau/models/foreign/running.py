"""One pass of another maker's network, with the processing that its package asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from noyau.domain.errors import InvalidInput
from noyau.domain.processing import apply, freeze, steps_from


def run_foreign(network: nn.Module, processing: dict[str, Any], tensor: np.ndarray) -> np.ndarray:
    """From an unprocessed input tensor to the post-processed output, as bioimage.io defines it.

    Args:
        network: takes and gives tensors with the axes of the description.
        processing: see `noyau.models.bioimageio.reading`.
        tensor: the input with all axes of the description; the batch has one element.

    Returns:
        The output, float32, with the axes of its description.
    """
    steps = freeze(steps_from(processing["input"]["steps"]), tensor)
    return postprocessed(forward(network, processing, apply(steps, tensor)), processing)


def forward(network: nn.Module, processing: dict[str, Any], prepared: np.ndarray) -> np.ndarray:
    """The raw output that the description names, float32.

    Args:
        network, processing: as above.
        prepared: the processed input with the axes of the description, float32.
    """
    dtype = np.dtype(processing["input"]["dtype"])
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    source = torch.from_numpy(np.ascontiguousarray(prepared.astype(dtype, copy=False))).to(device)
    with torch.inference_mode():
        answers = network(source)
    found = list(answers) if isinstance(answers, list | tuple) else [answers]
    index = int(processing["output"]["index"])
    if index >= len(found) or not isinstance(found[index], torch.Tensor):
        raise InvalidInput(f"The network gives {len(found)} outputs; its description speaks of more.")
    return np.asarray(found[index].float().cpu().numpy())


def postprocessed(raw: np.ndarray, processing: dict[str, Any]) -> np.ndarray:
    """The output after the steps of its description."""
    output = processing["output"]
    axes = output["axes"]
    if raw.ndim != len(axes):
        raise InvalidInput(
            f"The network's output has the shape {raw.shape}, which does not fit the described axes {', '.join(axes)}."
        )
    return apply(steps_from(output["steps"]), raw, axes.index("channel") if "channel" in axes else 0)
