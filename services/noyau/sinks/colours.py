"""The `image-label` metadata: which image the labels belong to, colours and properties."""

from __future__ import annotations

from collections.abc import Collection
from colorsys import hsv_to_rgb
from typing import Any

MOST = 5000
"""With more objects than this the list would be larger than many images; viewers then choose colours themselves."""
GOLDEN = 0.618033988749895
"""Steps of the golden ratio around the colour circle keep neighbouring numbers apart."""


def image_label(labels: Collection[int], version: str, source: str) -> dict[str, Any]:
    """The `image-label` object.

    Args:
        labels: numbers of the objects.
        version: NGFF version.
        source: path or URI of the image.
    """
    document: dict[str, Any] = {"version": version, "source": {"image": source}}
    if 0 < len(labels) <= MOST:
        numbers = sorted(int(n) for n in labels)
        document["colors"] = [{"label-value": n, "rgba": colour(n)} for n in numbers]
        document["properties"] = [{"label-value": n, "class": "nucleus"} for n in numbers]
    return document


def colour(label: int) -> list[int]:
    """A bright opaque colour, always the same for a number; red, green, blue, alpha from 0 to 255."""
    saturation = 0.65 + 0.35 * (label % 3) / 2
    rgb = hsv_to_rgb(label * GOLDEN % 1.0, saturation, 1.0)
    return [*(round(255 * v) for v in rgb), 255]
