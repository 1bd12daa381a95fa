"""From light to grey values: glow, uneven light, loss with depth, point spread; then noise, gain and offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from noyau.domain.geometry import Index3, VoxelSize
from noyau.training.synthetic.draws import log_uniform, smooth_field, uniform
from noyau.training.synthetic.recipe import OpticsRanges

# How much wider the point spread of a nucleus out of focus is.
OUT_OF_FOCUS = 2.5


@dataclass(frozen=True)
class Optics:
    """One microscope. Lengths are micrometres, brightness is relative to a typical nucleus."""

    background: float
    haze: float
    bias: float
    attenuation: float
    from_top: bool
    psf: float
    elongation: float
    tail: float
    defocus: float
    photons: float
    read_noise: float
    multiplied: bool
    specks: float
    resampled: float
    offset: float
    swing: float
    eight_bit: bool


def draw_optics(rng: np.random.Generator, ranges: OpticsRanges, diameter: float) -> Optics:
    """Draws a microscope that still resolves nuclei of the given diameter (micrometres)."""
    photons = log_uniform(rng, ranges.photons)
    psf = min(log_uniform(rng, ranges.psf), 0.12 * diameter)
    return Optics(
        background=uniform(rng, ranges.background),
        haze=uniform(rng, ranges.haze),
        bias=uniform(rng, ranges.bias),
        attenuation=uniform(rng, ranges.attenuation),
        from_top=bool(rng.random() < 0.5),
        psf=psf,
        elongation=max(1.0, min(uniform(rng, ranges.elongation), ranges.coarsest * diameter / psf)),
        tail=uniform(rng, ranges.tail),
        defocus=uniform(rng, ranges.defocus),
        photons=photons,
        # More read noise than this would hide nuclei altogether.
        read_noise=min(uniform(rng, ranges.read_noise), 0.25 * photons),
        multiplied=bool(rng.random() < ranges.multiplied),
        specks=uniform(rng, ranges.specks),
        resampled=uniform(rng, (0.4, 0.9)) if rng.random() < ranges.resampled else 0.0,
        offset=uniform(rng, ranges.offset),
        swing=log_uniform(rng, ranges.swing),
        eight_bit=bool(rng.random() < ranges.eight_bit),
    )


def expose(
    rng: np.random.Generator,
    signal: np.ndarray,
    voxel: VoxelSize,
    optics: Optics,
    diameter: float,
    defocused: np.ndarray | None = None,
) -> np.ndarray:
    """Light that reaches the camera: everything that happens before the noise.

    Args:
        rng: source of the smooth fields.
        signal: float32 (Z, Y, X), light of the ideal scene.
        voxel: micrometres, of `signal`.
        optics: the microscope.
        diameter: mean nucleus diameter, micrometres; the glow is that wide.
        defocused: bool (Z, Y, X), voxels of nuclei that lie out of focus; None: all are in focus.

    Returns:
        float32 (Z, Y, X).
    """
    shape: Index3 = signal.shape
    flat = shape[0] == 1
    light = _spread(signal if defocused is None else np.where(defocused, 0, signal), voxel, optics, flat)
    if defocused is not None:
        far = OUT_OF_FOCUS * max(optics.psf, 0.06 * diameter)
        light += _coarse_blur(np.where(defocused, signal, 0), [0 if flat else far, far, far], voxel)
    if optics.haze > 0:
        glow = _coarse_blur(signal, [0 if flat else diameter, diameter, diameter], voxel)
        cloud = np.exp(0.35 * smooth_field(rng, shape, (1 if flat else 3, 5, 5)))
        light += np.float32(optics.haze) * (2 * glow + np.float32(0.3)) * cloud
    light += np.float32(optics.background)
    if optics.attenuation > 0 and not flat:
        depth = np.linspace(0, 1, shape[0], dtype=np.float32)
        depth = depth if optics.from_top else depth[::-1]
        light *= np.exp(np.log1p(-np.float32(optics.attenuation)) * depth)[:, None, None]
    if optics.bias > 0:
        light *= np.exp(np.float32(optics.bias) * smooth_field(rng, shape, (1 if flat else 2, 3, 3)))
    return light


def _spread(signal: np.ndarray, voxel: VoxelSize, optics: Optics, flat: bool) -> np.ndarray:
    """The Gaussian core and the wide tails of the point spread; deeper planes have more light in the tails."""
    axial = 0.0 if flat else optics.psf * optics.elongation
    sigma = np.array([axial, optics.psf, optics.psf])
    sharp = gaussian_filter(signal, sigma / np.array(tuple(voxel)), mode="nearest", truncate=3)
    if optics.tail <= 0:
        return np.asarray(sharp)
    wide = _coarse_blur(signal, [float(s) for s in 3 * sigma], voxel)
    depth = np.linspace(0.5, 1.5, signal.shape[0], dtype=np.float32)
    share = np.float32(optics.tail) * (depth if optics.from_top else depth[::-1])[:, None, None]
    return np.asarray(sharp + share * (wide - sharp))


def _coarse_blur(values: np.ndarray, sigma: list[float], voxel: VoxelSize) -> np.ndarray:
    """A wide Gaussian blur, done on a coarser grid where nothing is lost by it.

    Args:
        values: float32 (Z, Y, X).
        sigma: micrometres z/y/x.
        voxel: micrometres.
    """
    steps = [max(1, min(int(s / v / 2), n // 2)) for s, v, n in zip(sigma, voxel, values.shape, strict=True)]
    padded = np.pad(values, [(0, -n % f) for n, f in zip(values.shape, steps, strict=True)], mode="edge")
    blocks = [m for n, f in zip(padded.shape, steps, strict=True) for m in (n // f, f)]
    coarse = padded.reshape(blocks).mean(axis=(1, 3, 5), dtype=np.float32)
    coarse = gaussian_filter(coarse, [s / v / f for s, v, f in zip(sigma, voxel, steps, strict=True)], mode="nearest")
    if max(steps) == 1:
        return np.asarray(coarse)
    fine = zoom(coarse, steps, order=1, mode="nearest", grid_mode=True)
    return np.asarray(fine[tuple(slice(0, n) for n in values.shape)], dtype=np.float32)


def record_light(rng: np.random.Generator, light: np.ndarray, optics: Optics) -> np.ndarray:
    """The camera: photon noise, read noise, bright specks, gain, offset and rounding.

    Returns:
        uint16 or uint8 (Z, Y, X), clipped at the ends of the type.
    """
    counts = rng.poisson(light * np.float32(optics.photons)).astype(np.float32)
    if optics.multiplied:
        # The multiplication register: a sum of as many exponential gains as there were photons.
        counts = rng.standard_gamma(counts, dtype=np.float32)
    if optics.read_noise > 0:
        counts += np.float32(optics.read_noise) * rng.standard_normal(counts.shape, dtype=np.float32)
    specks = rng.poisson(optics.specks * 1e-6 * counts.size)
    where = rng.integers(0, counts.size, specks)
    counts.ravel()[where] += (optics.photons * rng.uniform(0.5, 6.0, specks)).astype(np.float32)
    if optics.resampled > 0:
        # Smoothing along z is rare: planes are taken one by one.
        counts = gaussian_filter(counts, [0, optics.resampled, optics.resampled], truncate=3)
    grey = counts * np.float32(optics.swing / optics.photons) + np.float32(optics.offset)
    if optics.eight_bit:
        # As users make 8-bit files: a window between about the darkest and about the brightest value.
        low, high = (float(v) for v in np.percentile(grey[:, ::2, ::2], [0.1, 99.9]))
        window = rng.uniform(0.6, 1.6)
        scaled = (grey - low) * np.float32(255 / max((high - low) * window, 1e-6))
        return np.asarray(np.clip(np.rint(scaled), 0, 255), dtype=np.uint8)
    return np.asarray(np.clip(np.rint(grey), 0, 65535), dtype=np.uint16)
