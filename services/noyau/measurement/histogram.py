"""A histogram drawn with Pillow."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from noyau.measurement.lettering import ACCENT, BAR, INK, MUTED, number, write

MAX_BINS = 40
LEFT, BOTTOM, TOP = 52, 52, 30


def draw_histogram(
    canvas: Image.Image, corner: tuple[int, int], size: tuple[int, int], values: np.ndarray, label: str
) -> None:
    """Draws a histogram of positive values with a line at the median.

    The axis ends at the 99th percentile (with some room), what lies beyond is counted in the last bar.

    Args:
        canvas: picture to draw on.
        corner: left and top, pixels.
        size: width and height, pixels.
        values: sizes of the objects, shape (n,), n > 0.
        label: name of the x axis with its unit.
    """
    pen = ImageDraw.Draw(canvas)
    left, top = corner[0] + LEFT, corner[1] + TOP
    right, bottom = corner[0] + size[0] - 12, corner[1] + size[1] - BOTTOM
    ticks = nice_ticks(float(max(np.percentile(values, 99) * 1.05, np.median(values) * 1.5)))
    end = float(ticks[-1])
    bins = int(np.clip(np.sqrt(len(values)) * 2, 8, MAX_BINS))
    counts, edges = np.histogram(np.minimum(values, end), bins=bins, range=(0, end))
    rows = nice_ticks(float(counts.max()), whole=True)

    def across(value: float) -> float:
        return left + (right - left) * value / end

    def up(value: float) -> float:
        return bottom - (bottom - top) * value / float(rows[-1])

    for row in rows.tolist():
        pen.line((left, up(row), right, up(row)), fill=(228, 231, 235))
        write(pen, (left - 8, up(row)), number(row), 14, MUTED, "rm")
    for count, a, b in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            pen.rectangle((across(a) + 1, up(count), across(b) - 1, bottom), fill=BAR)
    pen.line((left, bottom, right, bottom), fill=INK)
    for tick in ticks.tolist():
        pen.line((across(tick), bottom, across(tick), bottom + 5), fill=INK)
        write(pen, (across(tick), bottom + 20), number(tick), 14, INK, "ms")
    write(pen, ((left + right) / 2, bottom + 42), label, 16, INK, "ms")
    write(pen, (corner[0], corner[1] + 14), "number of nuclei", 16)
    middle = across(float(np.median(values)))
    pen.line((middle, top, middle, bottom), fill=ACCENT, width=2)
    side, anchor = (6, "ls") if middle < (left + right) / 2 else (-6, "rs")
    write(pen, (middle + side, top - 4), f"median {number(float(np.median(values)))}", 14, ACCENT, anchor)


def nice_ticks(highest: float, whole: bool = False) -> np.ndarray:
    """Four to seven round numbers from 0 to at least `highest`; whole numbers on request."""
    rough = max(highest, 1e-9) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(k * power for k in (1, 2, 2.5, 5, 10) if k * power >= rough)
    if whole:
        step = max(1.0, np.ceil(step))
    ticks: np.ndarray = np.arange(0, np.ceil(highest / step - 1e-9) + 1) * step
    return ticks
