"""Found against true outlines of example images, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from noyau.measurement.lettering import INK, MUTED, PAPER, fitted, write
from noyau.measurement.overview import colours, contrast, outlines

SIDE, MARGIN, LINE = 420, 20, 30


@dataclass(frozen=True)
class Example:
    """One plane.

    Attributes:
        name: of its image.
        image: intensities (y, x).
        truth, found: labels (y, x).
        note: e.g. the counts.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    found: np.ndarray
    note: str = ""


def draw_examples(examples: Sequence[Example]) -> bytes:
    """A row per example: the true outlines at the left, what was found at the right.

    Returns:
        A PNG.
    """
    rows = [(example, _size(example.image.shape)) for example in examples]
    height = MARGIN + LINE + sum(size[1] + LINE + MARGIN for _, size in rows)
    canvas = Image.new("RGB", (2 * SIDE + 3 * MARGIN, height), PAPER)
    pen = ImageDraw.Draw(canvas)
    write(pen, (MARGIN, MARGIN + 14), "annotated", 18, INK)
    write(pen, (2 * MARGIN + SIDE, MARGIN + 14), "found by the model", 18, INK)
    top = MARGIN + LINE
    for example, size in rows:
        for column, labels in enumerate((example.truth, example.found)):
            canvas.paste(_panel(example.image, labels, size), (MARGIN + column * (SIDE + MARGIN), top))
        text = f"{example.name}  {example.note}".strip()
        write(pen, (MARGIN, top + size[1] + 20), fitted(text, 14, 2 * SIDE), 14, MUTED)
        top += size[1] + LINE + MARGIN
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height in pixels of a panel, its longer side `SIDE`."""
    scale = SIDE / max(shape)
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _panel(image: np.ndarray, labels: np.ndarray, size: tuple[int, int]) -> Image.Image:
    low, high = contrast(image)
    shown = np.clip((np.nan_to_num(image.astype(np.float64), nan=low) - low) / (high - low), 0, 1) ** 0.7
    grey = Image.fromarray((215 * shown).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    rows = np.arange(size[1]) * labels.shape[0] // size[1]
    columns = np.arange(size[0]) * labels.shape[1] // size[0]
    large = labels[rows[:, None], columns[None, :]]
    pixels = np.repeat(np.asarray(grey)[..., None], 3, axis=-1)
    edge = outlines(large, 1)
    pixels[edge] = colours(large[edge])
    return Image.fromarray(pixels)
