"""The cover of an archive: the test image beside what the network sees in it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIDE = 256


def cover(image: np.ndarray, foreground: np.ndarray) -> bytes:
    """A PNG, 512 x 256: brightest projection of the image, and of the foreground probability.

    Args:
        image: raw pixels z/y/x or y/x.
        foreground: probability of the same shape.
    """
    low, high = np.percentile(image, [1.0, 99.8])
    left = np.clip((image - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    panels = [Image.fromarray(_flat(panel)).resize((SIDE, SIDE)) for panel in (left, np.clip(foreground, 0.0, 1.0))]
    sheet = Image.new("L", (2 * SIDE, SIDE))
    for place, panel in enumerate(panels):
        sheet.paste(panel, (place * SIDE, 0))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _flat(panel: np.ndarray) -> np.ndarray:
    plane = panel.max(axis=0) if panel.ndim == 3 else panel
    return np.asarray(np.rint(plane * 255.0), np.uint8)
