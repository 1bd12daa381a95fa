"""The picture that people look at first: projections with outlined objects, a scale bar and the size histogram."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from noyau.measurement.histogram import draw_histogram
from noyau.measurement.lettering import INK, MUTED, PAPER, fitted, number, write
from noyau.measurement.projections import View

PANEL = 820
MARGIN = 28
GAP = 10
HISTOGRAM_HEIGHT = 250
BAR_LENGTHS = (1, 2, 5)


def draw(
    views: Sequence[View],
    *,
    title: str,
    count: int,
    sizes: np.ndarray | None = None,
    note: str = "",
) -> bytes:
    """Draws the overview of one image.

    Args:
        views: from `ProjectionAccumulator.views`: one of a 2D image, three of a volume.
        title: first line, e.g. the image's name.
        count: number of objects.
        sizes: volumes in um3 (areas in um2 for a 2D image) of the objects; None leaves the histogram out.
        note: small second line, e.g. the model.

    Returns:
        A PNG.
    """
    panels = _panels(views)
    main, unit = panels[0], "µm²" if len(views) == 1 else "µm³"
    side, under = (panels[2].width + GAP, panels[1].height + GAP) if len(panels) == 3 else (0, 0)
    width, top = max(main.width + side, 560) + 2 * MARGIN, MARGIN + 78
    plotted = sizes if sizes is not None and len(sizes) else None
    # The histogram goes into the free corner beside the view from the front where that is large enough.
    cornered = min(side - 3 * GAP - 360, under - 260) >= 0
    strip = 0 if plotted is None or cornered else HISTOGRAM_HEIGHT + 2 * GAP
    canvas = Image.new("RGB", (width, top + main.height + under + strip + MARGIN), PAPER)
    _heading(canvas, title, _summary(count, sizes, unit), note)
    places = [(MARGIN, top), (MARGIN, top + main.height + GAP), (MARGIN + main.width + GAP, top)]
    for panel, place in zip(panels, places, strict=False):
        canvas.paste(panel, place)
    if plotted is not None:
        name = f"nuclear {'area' if unit == 'µm²' else 'volume'} ({unit})"
        if cornered:
            corner = (MARGIN + main.width + 4 * GAP, top + main.height + 2 * GAP)
            draw_histogram(canvas, corner, (side - 4 * GAP, min(under - GAP, 420)), plotted, name)
        else:
            corner = (MARGIN, top + main.height + under + 2 * GAP)
            draw_histogram(canvas, corner, (width - 2 * MARGIN, HISTOGRAM_HEIGHT), plotted, name)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def outlines(labels: np.ndarray, width: int) -> np.ndarray:
    """Inner borders of the objects: pixels with another label within `width` pixels, bool, shape of `labels`."""
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        for step in range(1, width + 1):
            low = labels[(slice(None),) * axis + (slice(None, -step),)]
            high = labels[(slice(None),) * axis + (slice(step, None),)]
            differs = low != high
            edge[(slice(None),) * axis + (slice(None, -step),)] |= differs & (low != 0)
            edge[(slice(None),) * axis + (slice(step, None),)] |= differs & (high != 0)
    return edge


def colours(labels: np.ndarray) -> np.ndarray:
    """A bright colour per label, uint8, shape (..., 3): hues a golden angle apart, so that neighbours differ."""
    hue = (labels.astype(np.float64) * 0.618033988749895) % 1.0
    saturation = 0.65 + 0.35 * ((labels % 3) / 2)
    channels = [np.clip(np.abs((hue * 6 + shift) % 6 - 3) - 1, 0, 1) for shift in (0.0, 4.0, 2.0)]
    rgb = np.stack(channels, axis=-1)
    # Lightened towards white, so that blue stays readable on black.
    shade: np.ndarray = (255 * (1 - saturation[..., None] * (1 - rgb) * 0.85)).astype(np.uint8)
    return shade


def _panels(views: Sequence[View]) -> list[Image.Image]:
    """All views at one scale, the views from the side laid against the one from above."""
    main = views[0]
    height, width = (n * p for n, p in zip(main.image.shape, main.pixel_um, strict=True))
    depth = views[1].image.shape[0] * views[1].pixel_um[0] if len(views) > 1 else 0.0
    scale = PANEL / max(height, width, depth / 1.5)
    low, high = contrast(main.image)
    panels = []
    for k, view in enumerate(views):
        image, labels = (view.image.T, view.labels.T) if k == 2 else (view.image, view.labels)
        pixel = view.pixel_um[::-1] if k == 2 else view.pixel_um
        size = [max(1, round(n * p * scale)) for n, p in zip(image.shape, pixel, strict=True)]
        panels.append(_panel(image, labels, (size[1], size[0]), low, high))
    _scale_bar(panels[0], scale)
    for panel, name in zip(panels, ("xy", "xz", "yz"), strict=False):
        if len(panels) > 1:
            _tag(panel, name)
    return panels


def contrast(image: np.ndarray) -> tuple[float, float]:
    """Intensities shown as black and white: the 2nd and 99.7th percentile of a projection."""
    known = image[np.isfinite(image)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, [2.0, 99.7]))
    return (low, high) if high > low else (low, low + 1.0)


def _panel(image: np.ndarray, labels: np.ndarray, size: tuple[int, int], low: float, high: float) -> Image.Image:
    """One view in grey with coloured outlines; `size` is (width, height) in pixels."""
    shown = np.clip((np.nan_to_num(image, nan=low) - low) / (high - low), 0, 1) ** 0.7
    grey = Image.fromarray((215 * shown).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    rows = np.minimum(np.arange(size[1]) * labels.shape[0] // size[1], labels.shape[0] - 1)
    columns = np.minimum(np.arange(size[0]) * labels.shape[1] // size[0], labels.shape[1] - 1)
    large = labels[rows[:, None], columns[None, :]]
    pixels = np.repeat(np.asarray(grey)[..., None], 3, axis=-1)
    edge = outlines(large, 2 if max(size) > 300 else 1)
    pixels[edge] = colours(large[edge])
    return Image.fromarray(pixels)


def _scale_bar(panel: Image.Image, scale: float) -> None:
    """A white bar of a round length, about a fifth of the width, at the lower right; `scale` is pixels per um."""
    target = panel.width / 5 / scale
    power = 10.0 ** np.floor(np.log10(target))
    length = max((k * power for k in BAR_LENGTHS if k * power <= target), default=power)
    pen = ImageDraw.Draw(panel)
    right, bottom = panel.width - 16, panel.height - 16
    left = right - length * scale
    pen.rectangle((left, bottom - 5, right, bottom), fill="white", outline="black")
    write(pen, ((left + right) / 2, bottom - 12), f"{number(length)} µm", 18, (255, 255, 255), "ms", halo=True)


def _tag(panel: Image.Image, name: str) -> None:
    write(ImageDraw.Draw(panel), (9, 20), name, 16, (255, 255, 255), halo=True)


def _heading(canvas: Image.Image, title: str, summary: str, note: str) -> None:
    pen = ImageDraw.Draw(canvas)
    room = canvas.width - 2 * MARGIN
    for line, size, baseline, colour in ((title, 24, 16, INK), (summary, 20, 44, INK), (note, 15, 66, MUTED)):
        write(pen, (MARGIN, MARGIN - 8 + baseline), fitted(line, size, room), size, colour)


def _summary(count: int, sizes: np.ndarray | None, unit: str) -> str:
    found = f"{count:,} {'nucleus' if count == 1 else 'nuclei'}".replace(",", " ")
    if sizes is None or len(sizes) == 0:
        return found
    name = "area" if unit == "µm²" else "volume"
    return f"{found}, median {name} {number(float(np.median(sizes)))} {unit}"
