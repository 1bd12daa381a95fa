"""One picture of all suggestions: the plane of each crop that says most, with the outlines that the model draws."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from noyau.measurement.lettering import INK, MUTED, PAPER, fitted, write

SIDE = 220
COLUMNS = 5
MARGIN = 12
CAPTION = 34
TITLE = 40
MOST = 50
OUTLINE = (255, 190, 0)


@dataclass(frozen=True)
class Tile:
    """One crop in the picture: RGB pixels, and two lines below it."""

    pixels: np.ndarray
    first: str
    second: str


def draw_tile(pixels: np.ndarray, labels: np.ndarray, first: str, second: str) -> Tile:
    """The plane with most nucleus voxels (the brightest where there is none), with outlines.

    Args:
        pixels, labels: (Z, Y, X).
        first, second: lines below.
    """
    inside = (labels > 0).sum(axis=(1, 2))
    plane = int(inside.argmax()) if inside.any() else int(pixels.mean(axis=(1, 2)).argmax())
    shown, outlined = pixels[plane].astype(np.float32), labels[plane]
    step = max(1, -(-max(shown.shape) // (2 * SIDE)))
    shown, outlined = shown[::step, ::step], outlined[::step, ::step]
    low, high = np.percentile(shown, [1, 99.7])
    grey = np.clip((shown - low) / max(float(high - low), 1e-6), 0, 1) ** 0.7 * 255
    picture = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
    edge = np.zeros(outlined.shape, bool)
    edge[:-1] |= outlined[:-1] != outlined[1:]
    edge[:, :-1] |= outlined[:, :-1] != outlined[:, 1:]
    picture[edge] = OUTLINE
    return Tile(picture, first, second)


def draw_sheet(tiles: list[Tile], title: str) -> bytes:
    """A contact sheet as PNG; of very many tiles the first `MOST`."""
    tiles = tiles[:MOST]
    columns = min(COLUMNS, max(1, len(tiles)))
    rows = -(-len(tiles) // columns)
    width = columns * (SIDE + MARGIN) + MARGIN
    sheet = Image.new("RGB", (max(width, 480), TITLE + rows * (SIDE + CAPTION + MARGIN) + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    write(pen, (MARGIN, 26), fitted(title, 16, sheet.width - 2 * MARGIN), 16)
    for index, tile in enumerate(tiles):
        x = MARGIN + index % columns * (SIDE + MARGIN)
        y = TITLE + index // columns * (SIDE + CAPTION + MARGIN)
        picture = Image.fromarray(tile.pixels)
        factor = SIDE / max(picture.size)
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        sheet.paste(picture.resize(size, Image.Resampling.NEAREST), (x, y))
        write(pen, (x, y + SIDE + 14), fitted(tile.first, 13, SIDE), 13, INK)
        write(pen, (x, y + SIDE + 29), fitted(tile.second, 11, SIDE), 11, MUTED)
    out = BytesIO()
    sheet.save(out, format="PNG")
    return out.getvalue()
