"""One picture of many pairs with their outlines, so that a glance finds what no rule finds."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from noyau.measurement.lettering import ACCENT, INK, MUTED, PAPER, fitted, write
from noyau.measurement.overview import colours, contrast, outlines
from noyau.training.data import PairRef
from noyau.training.data.preparing import Prepared

PANEL = 230
CAPTION = 40
GAP = 10
COLUMNS = 6
MOST = 24
_UNKNOWN = np.array([70, 40, 110])


def choose(pairs: Sequence[PairRef], told: Mapping[str, str], most: int = MOST) -> list[PairRef]:
    """Pairs to show: those that something is told about first, then others, spread evenly."""
    odd = [p for p in pairs if p.name in told][:most]
    rest = [p for p in pairs if p.name not in told]
    room = min(most - len(odd), len(rest))
    if room <= 0:
        return odd
    return odd + [rest[i * len(rest) // room] for i in range(room)]


def draw_pairs(pairs: Sequence[PairRef], told: Mapping[str, str], title: str) -> bytes:
    """A grid of pairs: grey image, coloured outlines, violet where nothing is known.

    Args:
        pairs: to show.
        told: short words (kinds of problems) by the name of a pair.
        title: first line.

    Returns:
        A PNG.
    """
    columns = min(COLUMNS, max(len(pairs), 3))
    rows = -(-len(pairs) // columns)
    size = (columns * (PANEL + GAP) + GAP, 44 + rows * (PANEL + CAPTION + GAP) + GAP)
    canvas = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(canvas)
    write(pen, (GAP, 28), fitted(title, 20, size[0] - 2 * GAP), 20, INK)
    for index, pair in enumerate(pairs):
        x = GAP + index % columns * (PANEL + GAP)
        y = 44 + index // columns * (PANEL + CAPTION + GAP)
        panel = _panel(pair.prepared())
        canvas.paste(panel, (x + (PANEL - panel.width) // 2, y + (PANEL - panel.height) // 2))
        write(pen, (x, y + PANEL + 15), fitted(pair.name, 14, PANEL), 14, INK)
        words = f"{pair.found.objects} {pair.found.kind if pair.found.kind != 'labels' else 'nuclei'}"
        odd = told.get(pair.name)
        line = fitted(f"{words}: {odd}" if odd else words, 13, PANEL)
        write(pen, (x, y + PANEL + 32), line, 13, ACCENT if odd else MUTED)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _panel(ready: Prepared) -> Image.Image:
    """The plane with the largest labelled area (the middle one where there is none), as large as fits."""
    image, labels, known = ready.image, ready.labels, ready.known
    if image.ndim == 3:
        areas = (labels > 0).sum(axis=(1, 2))
        plane = int(areas.argmax()) if areas.any() else len(image) // 2
        image, labels, known = image[plane], labels[plane], None if known is None else known[plane]
    scale = PANEL / max(image.shape)
    height, width = (max(1, round(n * scale)) for n in image.shape)
    low, high = contrast(image.astype(np.float32))
    shown = (215 * np.clip((image.astype(np.float32) - low) / (high - low), 0, 1) ** 0.7).astype(np.uint8)
    grey = np.asarray(Image.fromarray(shown).resize((width, height), Image.Resampling.BICUBIC))
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    at = np.ix_(_nearest(height, labels.shape[0]), _nearest(width, labels.shape[1]))
    if known is not None:
        pixels[~known[at]] = (0.6 * pixels[~known[at]] + 0.4 * _UNKNOWN).astype(np.uint8)
    large = labels[at]
    edge = outlines(large, 1)
    pixels[edge] = colours(large[edge])
    return Image.fromarray(pixels)


def _nearest(count: int, size: int) -> np.ndarray:
    """Index of the nearest of `size` voxels for each of `count` pixels."""
    return np.minimum(np.arange(count) * size // count, size - 1)
