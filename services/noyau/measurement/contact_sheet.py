"""Many overview pictures on one sheet."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw

WIDTH = 320
"""Of a small picture, pixels."""
COLUMNS = 5
MOST = 60
"""Pictures on a sheet; with more nobody sees anything."""
_MARGIN = 8
_LINE = 14
_DARK, _LIGHT = (18, 18, 18), (235, 235, 235)


def thumbnail(png: bytes) -> bytes:
    """A picture at most `WIDTH` pixels wide and high, as PNG."""
    with Image.open(io.BytesIO(png)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((WIDTH, WIDTH))
    return _png(small)


def contact_sheet(pictures: Sequence[tuple[str, bytes]], title: str) -> bytes:
    """Small pictures in rows, each with its title below; PNG.

    Args:
        pictures: titles and PNGs that `thumbnail` made; beyond `MOST` they are left out, and the sheet says so.
        title: of the sheet.
    """
    shown = pictures[:MOST]
    if len(shown) < len(pictures):
        title = f"{title} (the first {len(shown)} of {len(pictures)})"
    columns = max(1, min(COLUMNS, len(shown)))
    rows = -(-len(shown) // columns)
    cell = (WIDTH + _MARGIN, WIDTH + _LINE + _MARGIN)
    sheet = Image.new("RGB", (columns * cell[0] + _MARGIN, rows * cell[1] + _LINE + 2 * _MARGIN), _DARK)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), _plain(title), fill=_LIGHT)
    for number, (name, png) in enumerate(shown):
        left, top = _MARGIN + number % columns * cell[0], 2 * _MARGIN + _LINE + number // columns * cell[1]
        with Image.open(io.BytesIO(png)) as picture:
            sheet.paste(picture, (left, top))
        draw.text((left, top + WIDTH), _plain(name)[: WIDTH // 6], fill=_LIGHT)
    return _png(sheet)


def _plain(text: str) -> str:
    """The built-in font has Latin letters only."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()
