"""The preview is a picture of the right size with outlines in it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic import Recipe, generate
from noyau.training.synthetic.preview import OUTLINE, draw_preview
from PIL import Image


@pytest.mark.parametrize(("shape", "panels"), [((20, 48, 56), 4), ((1, 48, 56), 2)])
def test_preview_shows_image_and_outlines(shape: tuple[int, int, int], panels: int) -> None:
    volume = generate(shape, VoxelSize(1, 0.8, 0.8), 1, Recipe.tissue(), count=12)
    picture = np.asarray(Image.open(BytesIO(draw_preview(volume))))
    zoom = 320 // 48
    assert picture.shape == (48 * zoom, panels * (56 + 2) * zoom, 3)
    assert (picture == OUTLINE).all(axis=-1).any()


def test_an_empty_scene_can_be_drawn() -> None:
    volume = generate((4, 16, 16), VoxelSize(1, 1, 1), 1, count=0)
    assert draw_preview(volume).startswith(b"\x89PNG")
