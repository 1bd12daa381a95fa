"""How values of pixels become pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from omero_sim.pixel_data import Volume

COLOURS = ((255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255))
SHOWN_AT_FIRST = 3


@dataclass
class ChannelView:
    """How one channel is shown: from `low`, which is black, to `high`, which has the full colour, or the reverse."""

    active: bool
    low: float
    high: float
    colour: tuple[int, int, int, int]
    reversed: bool = False


@dataclass
class View:
    """How an image is shown.

    Attributes:
        z, t: Plane and time that are shown first.
        model: "rgb" or "greyscale".
        channels: One for each.
    """

    z: int
    t: int
    model: str
    channels: list[ChannelView]

    def picture(self, volume: Volume, z: int, t: int, box: tuple[int, int, int, int] | None) -> Any:
        """Colours of a plane, or of the box (x, y, width, height) of it: uint8, height x width x 3."""
        plane = volume.array[t, :, z]
        if box is not None:
            x, y, width, height = box
            plane = plane[:, y : y + height, x : x + width]
        colours = np.zeros((*plane.shape[1:], 3))
        for values, view in zip(plane, self.channels, strict=True):
            if view.active:
                share = np.clip((values.astype(float) - view.low) / max(view.high - view.low, 1e-9), 0, 1)
                if view.reversed:
                    share = 1 - share
                shade = (255, 255, 255) if self.model == "greyscale" else view.colour[:3]
                colours += share[..., None] * np.asarray(shade)
        return np.clip(colours, 0, 255).astype(np.uint8)


def view_of(volume: Volume) -> View:
    """Settings that show the whole range of the values, the first three channels in red, green and blue.

    A single channel is shown in grey.
    """
    channels = []
    for number in range(volume.array.shape[1]):
        values = volume.array[:, number]
        low, high = float(values.min()), float(values.max())
        channels.append(ChannelView(number < SHOWN_AT_FIRST, low, max(high, low + 1), COLOURS[number % len(COLOURS)]))
    model = "rgb" if len(channels) > 1 else "greyscale"
    return View(volume.array.shape[2] // 2, 0, model, channels)


def jpeg(picture: Any, quality: float) -> bytes:
    """A picture as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=int(quality * 100))
    return file.getvalue()
