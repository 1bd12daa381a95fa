"""Curves over the steps of a run, drawn with Pillow."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from PIL import Image, ImageDraw

from noyau.measurement.histogram import nice_ticks
from noyau.measurement.lettering import INK, MUTED, PAPER, number, width, write

COLOURS = ((70, 120, 180), (200, 80, 40), (60, 150, 90), (140, 90, 170), (190, 150, 30), (90, 100, 110))
WIDTH, HEIGHT, MARGIN = 900, 300, 24
LEFT, BOTTOM, TOP = 64, 46, 46
GRID = (228, 231, 235)


@dataclass(frozen=True)
class Chart:
    """One panel.

    Attributes:
        title: what it shows.
        lines: values by step, by name; lines without values are left out.
        axis: what is counted along x.
    """

    title: str
    lines: Mapping[str, Mapping[int, float]]
    axis: str = "step"


def draw_curves(charts: Sequence[Chart], heading: str = "") -> bytes:
    """Draws panels under each other, steps along x, from 0 along y.

    Args:
        charts: the panels; those without any value are left out.
        heading: first line.

    Returns:
        A PNG.
    """
    shown = [chart for chart in charts if any(_finite(values) for values in chart.lines.values())]
    top = MARGIN + (36 if heading else 0)
    canvas = Image.new("RGB", (WIDTH + 2 * MARGIN, top + max(1, len(shown)) * (HEIGHT + MARGIN)), PAPER)
    pen = ImageDraw.Draw(canvas)
    if heading:
        write(pen, (MARGIN, MARGIN + 20), heading, 22)
    if not shown:
        write(pen, (MARGIN, top + 40), "Nothing was measured.", 16, MUTED)
    for index, chart in enumerate(shown):
        _panel(pen, chart, top + index * (HEIGHT + MARGIN))
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def _panel(pen: ImageDraw.ImageDraw, chart: Chart, top: int) -> None:
    lines = {name: values for name, given in chart.lines.items() if (values := _finite(given))}
    left, right = MARGIN + LEFT, MARGIN + WIDTH - 12
    upper, lower = top + TOP, top + HEIGHT - BOTTOM
    # An axis without any extent would have no scale.
    across = nice_ticks(float(max(1, *(max(values) for values in lines.values()))), whole=True)
    highest = float(max(max(values.values()) for values in lines.values()))
    up = nice_ticks(highest if highest > 0 else 1.0)

    def at(step: float, value: float) -> tuple[float, float]:
        x = left + (right - left) * step / float(across[-1])
        return x, lower - (lower - upper) * min(max(value / float(up[-1]), 0.0), 1.0)

    for value in up.tolist():
        y = at(0, value)[1]
        pen.line((left, y, right, y), fill=GRID)
        write(pen, (left - 8, y), number(value), 14, MUTED, "rm")
    for step in across.tolist():
        x = at(step, 0)[0]
        pen.line((x, lower, x, lower + 5), fill=INK)
        write(pen, (x, lower + 20), number(step), 14, INK, "ms")
    pen.line((left, lower, right, lower), fill=INK)
    write(pen, ((left + right) / 2, lower + 40), chart.axis, 14, MUTED, "ms")
    write(pen, (MARGIN, top + 18), chart.title, 16)
    _legend(pen, list(lines), right, top + 18)
    for colour, values in zip(_colours(len(lines)), lines.values(), strict=True):
        points = [at(step, value) for step, value in sorted(values.items())]
        if len(points) > 1:
            pen.line(points, fill=colour, width=2, joint="curve")
        for x, y in points if len(points) <= 60 else points[-1:]:
            pen.ellipse((x - 2.5, y - 2.5, x + 2.5, y + 2.5), fill=colour)


def _legend(pen: ImageDraw.ImageDraw, names: Sequence[str], right: float, baseline: float) -> None:
    """Names of the lines in their colours, from the right."""
    for name, colour in zip(reversed(names), reversed(_colours(len(names))), strict=True):
        write(pen, (right, baseline), name, 14, colour, "rs")
        right -= width(name, 14) + 18


def _finite(values: Mapping[int, float]) -> dict[int, float]:
    return {step: value for step, value in values.items() if isfinite(value)}


def _colours(count: int) -> list[tuple[int, int, int]]:
    return [COLOURS[i % len(COLOURS)] for i in range(count)]
