"""The small test input that a package carries, and the answer that its network must give to it."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import nn

from noyau.domain.errors import DamagedData
from noyau.domain.geometry import Index3
from noyau.domain.intensity import normalise, percentiles
from noyau.domain.model import ModelInfo
from noyau.models.foreign.running import run_foreign

SAMPLE_FILE = "selftest.npz"
ABSOLUTE, RELATIVE = 0.02, 0.01
"""Most that an answer may differ from the stored one, in the network's own units and as a share of the value.

The stored answer is rounded to float16 (one part in 2,000) and other processors add in other orders; a network that
was built in another way, or whose input is prepared in another way, is off by far more.
"""
_LARGEST_FILE = 64_000_000
_MOST_UNPACKED = 4 * _LARGEST_FILE


@dataclass(frozen=True)
class Sample:
    """A test input and its answer.

    Attributes:
        image: for our own networks raw pixels z/y/x before the normalisation, uint16; for a package of another maker
            the unprocessed input tensor with the axes that its description gives.
        answer: output of the network, (channels, *spatial) without the batch axis for our own; the post-processed
            output tensor for another maker's.
    """

    image: np.ndarray
    answer: np.ndarray


def make_sample(info: ModelInfo, network: nn.Module) -> Sample:
    """A drawn image of a few nuclei, the same for every model of its shape, with the network's answer.

    Raises:
        DamagedData: the network gives values that are not finite.
    """
    image = draw_image(info)
    return Sample(image, answer(info, network, image).astype(np.float16))


def draw_image(info: ModelInfo, least: Index3 | None = None) -> np.ndarray:
    """Soft ellipsoids on a noisy background, uint16 z/y/x, every size a multiple of the model's stride.

    Args:
        info: dimensions and stride.
        least: smallest size z/y/x; None takes what shows a nucleus.
    """
    least = least or ((8, 32, 32) if info.ndim == 3 else (1, 64, 64))
    shape = tuple(-(-max(n, 2 * s) // s) * s if n > 1 else 1 for n, s in zip(least, info.stride, strict=True))
    rng = np.random.default_rng(20221)
    grid = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij")
    image = rng.normal(100.0, 4.0, shape)
    for _ in range(3 if info.ndim == 3 else 6):
        centre = [rng.uniform(0, n) for n in shape]
        radii = [2.5 if info.ndim == 3 else 1.0, rng.uniform(5, 9), rng.uniform(5, 9)]
        steps = zip(grid, centre, radii, shape, strict=True)
        distance = sum(((g - c) / r) ** 2 for g, c, r, n in steps if n > 1)
        image += rng.uniform(300, 900) / (1.0 + np.exp(8.0 * (np.sqrt(distance) - 1.0)))
    return np.asarray(np.clip(np.rint(image), 0, 65535), np.uint16)


def answer(info: ModelInfo, network: nn.Module, image: np.ndarray) -> np.ndarray:
    """What the network says of a sample's image, float32, without batch axis.

    Raises:
        DamagedData: the answer holds NaN or infinities, or the network cannot take the input.
    """
    try:
        result = run_foreign(network, info.processing, image) if info.processing else _own_answer(info, network, image)
    except RuntimeError as error:
        text = str(error).strip().splitlines()
        reason = text[0] if text else type(error).__name__
        raise DamagedData(f"The network of model {info.ref} cannot take its own test input: {reason}.") from error
    if not np.isfinite(result).all():
        raise DamagedData(
            f"The network of model {info.ref} gives values that are not numbers (NaN or infinite).",
            "Train it again, or go back to an earlier version.",
        )
    return result


def differs(info: ModelInfo, network: nn.Module, sample: Sample) -> str:
    """How the network's answer differs from the stored one, as a sentence; empty where it agrees.

    Raises:
        DamagedData: as `answer`.
    """
    now, then = answer(info, network, sample.image), sample.answer.astype(np.float32)
    if now.shape != then.shape:
        return f"it has the shape {now.shape} instead of {then.shape}"
    far = np.abs(now - then) > ABSOLUTE + RELATIVE * np.abs(then)
    if not far.any():
        return ""
    return f"{far.mean():.1%} of its values differ, by up to {float(np.abs(now - then).max()):.3g}"


def sample_bytes(sample: Sample) -> bytes:
    """The file of a sample."""
    buffer = BytesIO()
    np.savez_compressed(buffer, image=sample.image, answer=sample.answer)
    return buffer.getvalue()


def read_sample(folder: Path) -> Sample | None:
    """The sample of a package; None where it has none.

    Raises:
        DamagedData: the file cannot be read.
    """
    path = folder / SAMPLE_FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError(f"it is larger than {_LARGEST_FILE:,} bytes")
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > _MOST_UNPACKED:
                raise ValueError(f"it unpacks to more than {_MOST_UNPACKED:,} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return Sample(arrays["image"], arrays["answer"])
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise DamagedData(
            f"The test input '{path}' cannot be read: {error}.", "Install the model package again."
        ) from error


def _own_answer(info: ModelInfo, network: nn.Module, image: np.ndarray) -> np.ndarray:
    low, high = percentiles(image, info.normalisation)
    prepared = normalise(image, low, high, info.normalisation)
    source = torch.from_numpy(prepared if info.ndim == 3 else prepared[0])[None, None]
    was_training = network.training
    try:
        with torch.inference_mode():
            return np.asarray(network.eval()(source)[0].float().numpy())
    finally:
        network.train(was_training)
