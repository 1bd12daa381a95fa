"""Intensity augmentation of one patch: other cameras, other gains, other optics, other noise.

All steps work on linear intensities (0 at the low and 1 at the high percentile of the whole image); the compression
that inference applies comes last, and is the same function of the same parameters. Everything runs where the patch
is, on a GPU as well.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from noyau.domain.model import Normalisation
from noyau.training.config import AugmentConfig


def augment(
    image: torch.Tensor, rng: np.random.Generator, config: AugmentConfig, normalisation: Normalisation
) -> torch.Tensor:
    """Linear intensities of a patch -> augmented network input, both float32 (*spatial)."""
    noise = torch.Generator(image.device).manual_seed(int(rng.integers(2**62)))
    x = image
    if rng.random() < config.gamma:
        x = x.clamp_min(0.0) ** math.exp(rng.uniform(-0.4, 0.4)) + x.clamp_max(0.0)
    if rng.random() < config.bias_field:
        x = x * torch.exp(rng.uniform(0.1, 0.45) * _smooth_field(x.shape, 3, noise))
    if x.dim() == 3 and rng.random() < config.attenuation:
        x = x * _attenuation(x.shape[0], rng).to(x.device)[:, None, None]
    if rng.random() < config.blur:
        x = _blur(x, rng)
    if rng.random() < config.noise:
        x = _add_noise(x, rng, config, noise)
    if x.dim() == 3 and rng.random() < config.thin_planes:
        x = _drop_planes(x)
    x = x * math.exp(rng.uniform(-config.gain, config.gain)) + rng.normal(0.0, config.offset)
    return compress(x, normalisation)


def compress(x: torch.Tensor, params: Normalisation) -> torch.Tensor:
    """The tensor twin of `noyau.domain.intensity.compress`."""
    return torch.asinh(params.gain * x.clamp(*params.clip)) / math.asinh(params.gain)


def empty_patch(shape: tuple[int, ...], rng: np.random.Generator, params: Normalisation) -> torch.Tensor:
    """An image without any nucleus after its own normalisation: noise whose percentiles were mapped to 0 and 1."""
    noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
    x = torch.randn(shape, generator=noise)
    if rng.random() < 0.5:
        x = _blur(x, rng)
    if rng.random() < 0.5:
        x = x + rng.uniform(0.5, 3.0) * x.std() * _smooth_field(x.shape, 3, noise)
    probabilities = torch.tensor([params.low / 100.0, params.high / 100.0])
    # Quantiles of a strided sample: torch limits the size of the whole.
    low, high = torch.quantile(x.ravel()[::7][:100_000], probabilities).tolist()
    return compress((x - low) / max(high - low, 1e-6), params)


def _smooth_field(shape: torch.Size, knots: int, noise: torch.Generator) -> torch.Tensor:
    """A smooth random field of about unit variance."""
    coarse = torch.randn((1, 1, *([knots] * len(shape))), generator=noise, device=noise.device)
    mode = "trilinear" if len(shape) == 3 else "bilinear"
    return functional.interpolate(coarse, size=tuple(shape), mode=mode, align_corners=True)[0, 0]


def _attenuation(planes: int, rng: np.random.Generator) -> torch.Tensor:
    """Light lost with depth, from either side."""
    depth = torch.linspace(0.0, 1.0, planes)
    profile = torch.exp(-rng.uniform(0.2, 1.2) * depth)
    return profile.flip(0) if rng.random() < 0.5 else profile


def _blur(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Gaussian blur, in z independent of y/x as in a microscope."""
    lateral = rng.uniform(0.3, 1.4)
    sigmas = [rng.uniform(0.3, 1.6), lateral, lateral][-x.dim() :]
    convolve = functional.conv3d if x.dim() == 3 else functional.conv2d
    for axis, sigma in enumerate(sigmas):
        radius = max(1, math.ceil(2.5 * sigma))
        at = torch.arange(-radius, radius + 1, dtype=torch.float32, device=x.device)
        kernel = torch.exp(-(at**2) / (2 * sigma**2))
        shape = [1] * x.dim()
        shape[axis] = 2 * radius + 1
        padding = [0] * x.dim()
        padding[axis] = radius
        # Division by the blurred ones keeps the borders as bright as the inside.
        weights = (kernel / kernel.sum()).view(1, 1, *shape)
        edge = convolve(torch.ones_like(x)[None, None], weights, padding=padding)
        x = (convolve(x[None, None], weights, padding=padding) / edge)[0, 0]
    return x


def _add_noise(
    x: torch.Tensor, rng: np.random.Generator, config: AugmentConfig, noise: torch.Generator
) -> torch.Tensor:
    """Read noise (constant) and shot noise (grows with the root of the signal); sometimes a little correlated."""
    grain = torch.randn(x.shape, generator=noise, device=noise.device)
    if rng.random() < 0.25:
        grain = _blur(grain, rng)
        grain = grain / grain.std().clamp_min(1e-6)
    variance = rng.uniform(0.0, config.noise_read) ** 2 + rng.uniform(0.0, config.noise_shot) ** 2 * x.clamp_min(0.0)
    return x + grain * variance.sqrt()


def _drop_planes(x: torch.Tensor) -> torch.Tensor:
    """A stack taken with twice the z-step and interpolated back: every other plane is the mean of its neighbours."""
    between = x.clone()
    kept = x[::2]
    between[1 : 2 * kept.shape[0] - 1 : 2] = 0.5 * (kept[:-1] + kept[1:])
    if x.shape[0] % 2 == 0:
        between[-1] = x[-2]
    return between
