"""Letters and numbers of drawn pictures.

Pillow brings a font of its own, so pictures look alike on every machine, but it lacks the letters of units: `µ` is
drawn as a u with a stem, `²` and `³` as small raised digits.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
from PIL import ImageDraw, ImageFont

PAPER = (255, 255, 255)
INK = (25, 28, 33)
MUTED = (105, 112, 122)
BAR = (70, 120, 180)
ACCENT = (200, 80, 40)
Colour = tuple[int, int, int]

_RAISED = {"²": "2", "³": "3"}


def write(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    colour: Colour = INK,
    anchor: str = "ls",
    halo: bool = False,
) -> None:
    """Writes one line.

    Args:
        pen: where to draw.
        at: the anchor point, pixels.
        text: the line; letters that the font lacks are written without accents, or as `?`.
        size: font size in pixels.
        colour: of the letters.
        anchor: `l`, `m` or `r` for the side, then `s` for the baseline or `m` for the middle of a digit.
        halo: a black rim, for letters on a picture.
    """
    x, y = at
    x -= {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * width(text, size)
    y += 0.36 * size if anchor[1] == "m" else 0.0
    rim = 2 if halo else 0
    for piece in _pieces(text):
        letters, letter_size = _shown(piece, size)
        raised = 0.38 * size if piece in _RAISED else 0.0
        font = _font(letter_size)
        if piece == "µ":
            stroke = max(1, round(size / 11))
            stem = (x + 0.075 * size, y - 0.2 * size, x + 0.075 * size + stroke - 1, y + 0.2 * size)
            if halo:
                pen.rectangle((stem[0] - rim, stem[1], stem[2] + rim, stem[3] + rim), fill=(0, 0, 0))
            pen.text((x, y), letters, fill=colour, font=font, anchor="ls", stroke_width=rim, stroke_fill=(0, 0, 0))
            pen.rectangle(stem, fill=colour)
        else:
            place = (x, y - raised)
            pen.text(place, letters, fill=colour, font=font, anchor="ls", stroke_width=rim, stroke_fill=(0, 0, 0))
        x += font.getlength(letters)


def width(text: str, size: int) -> float:
    """Width of a line in pixels."""
    shown = (_shown(piece, size) for piece in _pieces(text))
    return float(sum(_font(letter_size).getlength(letters) for letters, letter_size in shown))


def fitted(text: str, size: int, room: float) -> str:
    """The line, shortened in its middle until it fits into `room` pixels."""
    if width(text, size) <= room:
        return text
    for kept in range(len(text) // 2, 0, -1):
        short = f"{text[:kept]}…{text[-kept:]}"
        if width(short, size) <= room:
            return short
    return ""


def number(value: float) -> str:
    """A number as people write it: three digits that matter, thousands apart, no exponent."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace(",", " ")


def _pieces(text: str) -> list[str]:
    """The text cut at the letters that are drawn specially."""
    pieces: list[str] = []
    for letter in text.replace("μ", "µ"):
        special = letter == "µ" or letter in _RAISED
        if special or not pieces or pieces[-1] == "µ" or pieces[-1] in _RAISED:
            pieces.append(letter)
        else:
            pieces[-1] += letter
    return pieces


def _shown(piece: str, size: int) -> tuple[str, int]:
    if piece == "µ":
        return "u", size
    if piece in _RAISED:
        return _RAISED[piece], round(0.65 * size)
    return "".join(_plain(letter) for letter in piece), size


def _plain(letter: str) -> str:
    if letter == "…" or " " <= letter <= "~":
        return letter
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if " " <= base <= "~" else "?"


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
