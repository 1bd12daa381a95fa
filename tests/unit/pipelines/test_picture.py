"""The overview of an image is headed by what people call the image."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from noyau.domain.axes import Axes
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageInfo, ImageRef
from noyau.measurement import overview
from noyau.pipelines.picture import draw_overview

INFO = ImageInfo((1, 6, 8), "uint8", Axes("yx"), (6, 8), None, ("DAPI",), 1, 1, (1, 6, 8))


@pytest.mark.parametrize(
    ("info", "title"),
    [
        (INFO, "42"),
        (replace(INFO, name="well A1 [GFP] 😀"), "well A1 [GFP] 😀"),
        (replace(INFO, name="two\nlines"), "two lines"),
        (replace(INFO, name="well A1", times=3), "well A1, time point 2"),
    ],
)
def test_the_title_is_the_name_else_the_end_of_the_address(
    info: ImageInfo, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, Any] = {}
    draw = overview.draw

    def noted(views: Any, **options: Any) -> bytes:
        drawn.update(options)
        return draw(views, **options)

    monkeypatch.setattr(overview, "draw", noted)
    plane = np.arange(48, dtype=np.uint8).reshape(1, 6, 8)

    def read(box: Box, *, time: int = 0) -> np.ndarray:
        return plane[box.slices]

    source = SimpleNamespace(ref=ImageRef("omero://lab/image/42"), info=info, read=read)
    png = draw_overview(
        source,
        lambda box, time: np.zeros(box.shape, np.uint32),
        VoxelSize(1.0, 1.0, 1.0),
        time=2 if info.times > 1 else 0,
        sizes=np.zeros(0),
        note="model",
        reporter=SimpleNamespace(check=lambda: None, progress=lambda *_: None),
    )
    assert png.startswith(b"\x89PNG")
    assert drawn["title"] == title
