"""Near copies and labels of another image."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.training.data.agreement import doubts
from noyau.training.data.likeness import near_copies
from noyau.training.data.outline import outline_of

from .conftest import draw_scene


def everything(i: int, j: int) -> bool:
    return True


def pictures(images: list[np.ndarray]) -> list[np.ndarray]:
    return [outline_of(image, np.zeros(image.shape, np.uint8))[0] for image in images]


def turned(image: np.ndarray) -> np.ndarray:
    return image[..., ::-1, :].swapaxes(-1, -2)


COPIES = {
    "gain and offset": lambda x: x * 3.3 + 1700.0,
    "another type": lambda x: np.clip(x / x.max() * 255, 0, 255).astype(np.uint8),
    "mirrored": lambda x: x[..., ::-1],
    "turned": turned,
    "cropped": lambda x: x[..., 7:, :-9],
    "all of it": lambda x: turned(x[..., 6:-4, 3:-8]) * 0.4 + 50.0,
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("shape", [(150, 170), (8, 120, 110)])
def test_copies_are_found_among_other_images(how: str, shape: tuple[int, ...]) -> None:
    images = [draw_scene(seed, shape, 30)[0] for seed in range(5)]
    images.append(COPIES[how](images[2].astype(np.float64)))
    found = near_copies(pictures(images), everything)
    assert [(c.first, c.second) for c in found] == [(2, 5)]


def test_images_that_need_not_be_apart_are_not_compared() -> None:
    image = draw_scene(0, (90, 90), 12)[0]
    assert near_copies(pictures([image, image]), lambda i, j: False) == []
    assert near_copies(pictures([image]), everything) == [] == near_copies([], everything)


def test_constant_pictures_are_no_copies() -> None:
    assert near_copies([np.zeros((96, 96), np.float16)] * 3, everything) == []


def outlines(seeds: range, shape: tuple[int, ...] = (80, 90)) -> list[tuple[np.ndarray, np.ndarray]]:
    return [outline_of(*draw_scene(seed, shape, 12)) for seed in seeds]


def test_swapped_labels_are_found_on_both_sides() -> None:
    made = outlines(range(6))
    made[1], made[4] = (made[1][0], made[4][1]), (made[4][0], made[1][1])
    found, typical = doubts(made, [(80, 90)] * 6)
    assert [(d.index, d.other, d.mutual) for d in found] == [(1, 4, True), (4, 1, True)] and typical > 0.5


def test_a_list_that_slipped_by_one_is_found() -> None:
    made = outlines(range(5))
    slipped = [(made[i][0], made[(i + 1) % 5][1]) for i in range(5)]
    found, _ = doubts(slipped, [(80, 90)] * 5)
    assert {(d.index, d.other) for d in found} == {(i, (i - 1) % 5) for i in range(5)}


def test_labels_of_no_image_are_found() -> None:
    made = outlines(range(5))
    made[3] = (made[3][0], outline_of(*draw_scene(77, (80, 90), 12))[1])
    found, _ = doubts(made, [(80, 90)] * 5)
    assert [(d.index, d.other) for d in found] == [(3, None)]


def test_dark_nuclei_agree_as_well() -> None:
    made = [(np.float16(1) - image, foreground) for image, foreground in outlines(range(4))]
    assert doubts(made, [(80, 90)] * 4)[0] == []


def test_good_empty_and_full_labels_are_not_doubted() -> None:
    made = outlines(range(4))
    made[1] = (made[1][0], np.zeros_like(made[1][1]))
    made[2] = (made[2][0], np.ones_like(made[2][1]))
    assert doubts(made, [(80, 90)] * 4)[0] == [] and doubts([], []) == ([], 0.0)
