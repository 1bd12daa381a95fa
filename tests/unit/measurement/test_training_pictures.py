"""Curves and examples as pictures: right size, colours where values are, and no crash on odd values."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from noyau.measurement.curves import COLOURS, Chart, draw_curves
from noyau.measurement.examples import SIDE, Example, draw_examples
from PIL import Image


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def has_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(colour)).all(-1)


def test_a_falling_loss_falls_on_the_picture() -> None:
    picture = opened(draw_curves([Chart("loss", {"total": {step: 2.0 - step / 100 for step in range(0, 101, 10)}})]))
    rows, columns = np.nonzero(has_colour(picture, COLOURS[0]))
    plotted = rows > 80  # below the legend
    rows, columns = rows[plotted], columns[plotted]
    left, right = columns < np.percentile(columns, 10), columns > np.percentile(columns, 90)
    assert rows[left].mean() < rows[right].mean() - 20


def test_panels_without_values_are_left_out() -> None:
    one = opened(draw_curves([Chart("a", {"x": {1: 1.0}}), Chart("b", {"y": {}})], "heading"))
    two = opened(draw_curves([Chart("a", {"x": {1: 1.0}}), Chart("b", {"y": {2: 3.0}})], "heading"))
    assert two.shape[0] > one.shape[0] and two.shape[1] == one.shape[1]
    assert has_colour(two, COLOURS[0]).any()


@pytest.mark.parametrize("values", [{0: 0.0}, {5: 0.0, 9: 0.0}, {0: 1e-9}, {0: 1e9, 10: -5.0}])
def test_odd_values_are_drawn(values: dict[int, float]) -> None:
    assert opened(draw_curves([Chart("loss", {"total": values})])).ndim == 3
    assert opened(draw_curves([])).ndim == 3


def test_nan_does_not_spoil_a_picture() -> None:
    picture = opened(draw_curves([Chart("loss", {"total": {0: 1.0, 5: math.nan, 9: 2.0}})]))
    assert has_colour(picture, COLOURS[0]).any()


def test_examples_show_what_was_annotated_beside_what_was_found() -> None:
    image = np.zeros((60, 80), np.uint16)
    labels = np.zeros((60, 80), np.uint16)
    labels[10:30, 10:30] = 1
    image[labels > 0] = 500
    picture = opened(draw_examples([Example("pair", image, labels, np.zeros_like(labels), "1 annotated, 0 found")]))
    coloured = picture.max(-1) - picture.min(-1) > 40
    columns = np.nonzero(coloured)[1]
    assert len(columns) > 50 and columns.max() < SIDE + 20


def test_examples_of_any_shape_fit_the_page() -> None:
    flat = np.zeros((4, 900), np.uint8)
    tall = np.zeros((300, 7), np.uint8)
    picture = opened(draw_examples([Example("a" * 300, flat, flat, flat), Example("b", tall, tall, tall)]))
    assert picture.shape[1] == 2 * SIDE + 60
