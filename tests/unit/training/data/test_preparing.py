"""Rules of a single pair: what is refused with which words, and what is brought into shape."""

from __future__ import annotations

import numpy as np
import pytest
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import VoxelSize
from noyau.training.data.facts import Facts
from noyau.training.data.preparing import Prepared, prepare
from noyau.training.data.values import Pixels, Sample

from .conftest import draw_scene

IMAGE, LABELS = draw_scene(0)


def ready(image: np.ndarray = IMAGE, labels: np.ndarray | None = LABELS, ndim: int = 2, **changes: object) -> Prepared:
    facts = changes.pop("facts", Facts())
    sample = Sample(Pixels(image), None if labels is None else Pixels(labels), **changes)  # type: ignore[arg-type]
    return prepare(sample, "set/a", ndim, facts)  # type: ignore[arg-type]


def test_a_good_pair_stays_as_it_is() -> None:
    pair = ready()
    assert pair.image is IMAGE and pair.labels.dtype == np.uint16 and pair.known is None and pair.kind == "labels"
    np.testing.assert_array_equal(pair.labels, LABELS)


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[3, 4] = value
    return changed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": IMAGE[:0]}, "is empty: its shape"),
        ({"image": np.full_like(IMAGE, 9)}, "every voxel has the value 9"),
        ({"image": with_value(IMAGE.astype(np.float32), np.nan)}, r"NaN or infinity, first at voxel \(3, 4\)"),
        ({"image": IMAGE.astype(np.complex64)}, "complex64"),
        ({"image": np.stack([IMAGE] * 5), "labels": np.stack([LABELS] * 5)}, "but the model has 2 dimensions"),
        ({"image": IMAGE, "ndim": 3}, "but the model has 3 dimensions"),
        ({"labels": LABELS[:-1]}, "labels of shape"),
        ({"labels": LABELS.T}, "axes are in another order"),
        ({"labels": LABELS.astype(np.float32)}, "float32 numbers, not labels"),
        ({"labels": np.stack([LABELS] * 3, -1)}, "colour picture"),
        ({"labels": with_value(LABELS.astype(np.int32), -7)}, "negative value -7"),
        ({"labels": with_value(LABELS.astype(np.uint64), 2**40)}, "no label"),
        ({"labels": np.full(IMAGE.shape, -1)}, "All labels of 'set/a' are ignored"),
        ({"labels": (LABELS > 0).astype(np.uint8) * 255}, "mask of the values 0 and 255"),
        ({"labels": LABELS > 0}, "mask of the values 0 and 1"),
        ({"labels": None}, "has no labels"),
        ({"labels": None, "points": np.zeros((0, 2))}, "has no points"),
        ({"labels": None, "points": np.array([[5.0, 500.0]])}, "outside of its image"),
        ({"labels": None, "points": np.array([[5.0, np.nan]])}, "outside of its image"),
        ({"labels": None, "points": np.array([[5.0, 5.0, 5.0]])}, "need 2 numbers"),
        ({"labels": None, "boxes": np.array([[5, 5, 5, 9]])}, "without extent"),
    ],
)
def test_bad_pairs_are_refused_with_their_reason(change: dict, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        ready(**change)
    assert "set/a" in caught.value.cause


def test_image_and_labels_must_lie_on_one_grid() -> None:
    sample = Sample(Pixels(IMAGE, VoxelSize(1, 0.2, 0.2)), Pixels(LABELS, VoxelSize(1, 0.4, 0.4)))
    with pytest.raises(InvalidInput, match="one grid"):
        prepare(sample, "a", 2, Facts())


def test_a_mask_is_cut_into_components_when_asked() -> None:
    pair = ready(labels=(LABELS > 0).astype(np.uint8) * 255, facts=Facts(components=True))
    assert pair.labels.max() > 3 and ((pair.labels > 0) == (LABELS > 0)).all()
    assert any(kind == "components" for kind, _ in pair.notes)


def test_one_nucleus_is_no_mask() -> None:
    one = (LABELS == 2).astype(np.uint8)
    np.testing.assert_array_equal(ready(labels=one).labels, one)


def test_ignored_voxels_are_unknown_and_so_is_their_rim() -> None:
    labels = LABELS.astype(np.int32)
    labels[:, 40:] = -1
    pair = ready(labels=labels)
    assert pair.known is not None and pair.known[:, :39].all() and not pair.known[:, 39:].any()
    assert not pair.labels[:, 40:].any()
    other = np.where(labels == -1, 999, labels).astype(np.uint16)
    for given in ({"ignore": 999}, {"facts": Facts(ignore=999)}):
        np.testing.assert_array_equal(ready(labels=other, **given).known, pair.known)


def test_huge_ids_become_small_ones_in_their_order() -> None:
    pair = ready(labels=np.where(LABELS > 0, LABELS.astype(np.int64) * 100_000_000, 0))
    np.testing.assert_array_equal(pair.labels, LABELS)


def test_colours_and_thin_axes() -> None:
    coloured = np.stack([IMAGE // 2, IMAGE, IMAGE * 0], -1)
    pair = ready(image=coloured)
    np.testing.assert_array_equal(pair.image, IMAGE)
    assert any(kind == "colours" for kind, _ in pair.notes)
    assert ready(image=IMAGE[None], labels=LABELS[None]).image.shape == IMAGE.shape


def test_labels_of_single_voxels_are_points() -> None:
    marks = np.zeros_like(LABELS)
    marks[10, 12], marks[40, 50] = 1, 2
    pair = ready(labels=marks)
    assert pair.kind == "points" and pair.objects is not None and pair.known is not None
    assert pair.objects.centres.tolist() == [[10, 12], [40, 50]] and any(k == "points" for k, _ in pair.notes)
    assert ready(facts=Facts(kind="points")).kind == "points"
    assert ready(labels=marks, facts=Facts(kind="labels")).kind == "labels"


def test_labels_that_are_said_to_be_boxes() -> None:
    pair = ready(facts=Facts(kind="boxes"))
    assert pair.kind == "boxes" and pair.objects is not None and len(pair.objects.ids) == len(np.unique(LABELS)) - 1
    assert pair.known is not None and not LABELS[pair.known & (pair.labels == 0)].any()


def test_images_alone_are_enough_without_labels() -> None:
    pair = prepare(Sample(Pixels(IMAGE)), "a", 2, Facts(), labelled=False)
    assert pair.image is IMAGE and pair.known is None and not pair.labels.any()
