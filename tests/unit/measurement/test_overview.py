"""The overview picture: what is drawn where."""

from __future__ import annotations

import io

import numpy as np
import pytest
from noyau.domain.geometry import Box, VoxelSize
from noyau.measurement.histogram import nice_ticks
from noyau.measurement.lettering import fitted, number, width, write
from noyau.measurement.overview import MARGIN, PANEL, colours, contrast, draw, outlines
from noyau.measurement.projections import ProjectionAccumulator, View
from PIL import Image, ImageDraw


def views(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> tuple[View, ...]:
    labels = np.zeros(shape, np.uint32)
    labels[:, shape[1] // 4 : shape[1] // 2, shape[2] // 4 : shape[2] // 2] = 5
    image = labels * 100.0 + 10
    accumulator = ProjectionAccumulator(shape, VoxelSize(*spacing))
    accumulator.add(Box.of(shape), image, labels)
    return accumulator.views()


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_outline_lies_on_the_object_in_its_colour() -> None:
    png = draw(views((1, 100, 100), (1.0, 0.5, 0.5)), title="a.ome.zarr", count=1, sizes=np.array([60.0]))
    pixels = picture(png)
    panel = pixels[MARGIN + 78 : MARGIN + 78 + PANEL, MARGIN : MARGIN + PANEL]
    colour = colours(np.array([5]))[0].astype(int)
    rows, columns = np.nonzero((panel == colour).all(axis=-1))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (205, 410, 205, 410)
    assert (panel[300, 300] == panel[300, 300, 0]).all()  # grey inside
    assert panel[300, 300, 0] > panel[600, 600, 0]


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((51, 120, 120), (1.75, 0.8, 0.8)),
        ((1, 300, 200), (1.0, 0.3, 0.3)),
        ((3, 40, 40), (0.1, 0.1, 0.1)),
        ((900, 20, 20), (1.0, 1.0, 1.0)),
        ((1, 1, 1), (1.0, 1.0, 1.0)),
        ((2, 3, 700), (1.0, 1.0, 1.0)),
    ],
)
def test_any_shape_gives_a_picture_of_reasonable_size(
    shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    sizes = np.random.default_rng(0).lognormal(7, 0.5, 200)
    pixels = picture(draw(views(shape, spacing), title="x" * 300, count=200, sizes=sizes, note="model"))
    assert 300 < pixels.shape[0] < 2700 and 500 < pixels.shape[1] < 2700


def test_no_objects_and_no_measurements() -> None:
    empty = draw(views((4, 50, 50), (1, 1, 1)), title="empty", count=0, sizes=np.zeros(0))
    unmeasured = draw(views((4, 50, 50), (1, 1, 1)), title="empty", count=3)
    assert picture(empty).shape == picture(unmeasured).shape
    blank = ProjectionAccumulator((1, 5, 5), VoxelSize(1, 1, 1)).views()
    assert picture(draw(blank, title="nothing was read", count=0)).shape[0] > PANEL


def test_the_same_input_gives_the_same_bytes() -> None:
    first, again = (draw(views((5, 60, 60), (2, 1, 1)), title="t", count=1, sizes=np.ones(1)) for _ in range(2))
    assert first == again


def test_outlines_are_inner_borders() -> None:
    labels = np.array([[1, 1, 1, 1, 2, 2, 2, 2, 0, 0]] * 3)
    edge = outlines(labels, 1)[1]
    assert list(np.flatnonzero(edge)) == [3, 4, 7]
    assert list(np.flatnonzero(outlines(labels, 2)[1])) == [2, 3, 4, 5, 6, 7]


def test_contrast_ignores_what_is_unknown_and_survives_constants() -> None:
    image = np.concatenate([np.full(500, np.nan), np.linspace(0, 100, 1001)])
    assert contrast(image) == pytest.approx((2.0, 99.7))
    assert contrast(np.full((3, 3), 7.0)) == (7.0, 8.0)


def test_neighbouring_labels_have_distinct_bright_colours() -> None:
    rgb = colours(np.arange(1, 60)).astype(int)
    steps = np.abs(np.diff(rgb, axis=0)).sum(axis=1)
    assert steps.min() > 90
    assert rgb.max(axis=1).min() > 180


def test_ticks_and_numbers_are_round() -> None:
    assert nice_ticks(4310.0).tolist() == [0, 1000, 2000, 3000, 4000, 5000]
    assert nice_ticks(3.0, whole=True).tolist() == [0, 1, 2, 3]
    assert [number(v) for v in (0.0, 0.5, 12.345, 2119.4, 1234567.0)] == ["0", "0.5", "12.3", "2 119", "1 234 567"]


def test_units_are_drawn_though_the_font_lacks_them() -> None:
    def ink(text: str) -> np.ndarray:
        canvas = Image.new("RGB", (120, 60), (255, 255, 255))
        write(ImageDraw.Draw(canvas), (5, 40), text, 30)
        return np.asarray(canvas.convert("L")) < 128

    micro, plain = ink("µm³"), ink("um3")
    below = 43  # under the baseline
    assert micro[below:].any() and not plain[below:].any()
    assert width("µm³", 30) < width("um3", 30)
    assert not np.array_equal(ink("é"), ink("?")) and np.array_equal(ink("é"), ink("e"))
    assert np.array_equal(ink("核"), ink("?"))
    assert width(fitted("a" * 300, 20, 200), 20) <= 200 and "…" in fitted("a" * 300, 20, 200)
