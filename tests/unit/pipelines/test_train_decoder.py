"""The decoder of a trained model fits the nuclei that were labelled."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noyau.domain.model import ModelInfo
from noyau.domain.progress import SilentReporter
from noyau.models.networks import DenseNetwork, build
from noyau.pipelines.train_decoder import choose_vote, with_chosen_vote
from noyau.training.config import TrainConfig
from noyau.training.dataset import Pair
from noyau.training.export import VOTE_2D, VOTE_3D, describe
from noyau.training.ideal import ideal_prediction
from noyau.training.objectives import objective_for
from noyau.training.scaling import stretched_vote
from noyau.training.targets import find_objects


def crowd(radius: float, step: int, seed: int = 0) -> np.ndarray:
    """Labels of balls on a loose grid, z/y/x."""
    shape, rng = (4 * step, 5 * step, 5 * step), np.random.default_rng(seed)
    centres = [(z, y, x) for z in range(2, 4 * step, step) for y in range(2, 5 * step, step)
               for x in range(2, 5 * step, step)]  # fmt: skip
    grid = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for label, centre in enumerate(centres, start=1):
        moved = np.array(centre) + rng.integers(-1, 2, 3)
        labels[sum((g - c) ** 2 for g, c in zip(grid, moved, strict=True)) <= radius**2] = label
    return labels


def seen(labels: np.ndarray, **changes: object) -> tuple[np.ndarray, Pair]:
    objective = objective_for("vote", labels.ndim, scale=8.0)
    pair = Pair("a/b", labels.astype(np.uint16), labels, 0.0, 1.0, find_objects(labels))
    return ideal_prediction(objective, labels), replace(pair, **changes)  # type: ignore[arg-type]


def test_crowded_small_nuclei_get_their_own_parameters() -> None:
    start = stretched_vote(VOTE_3D, 3, 0.6)
    vote, before, after = choose_vote(start, 3, [seen(crowd(2.6, 6))])
    assert after > before + 0.2 and after > 0.9
    assert np.prod(vote.nms) < np.prod(start.nms)


def test_parameters_that_suit_are_kept() -> None:
    labels = crowd(6.5, 16)
    vote, before, after = choose_vote(VOTE_3D, 3, [seen(labels)])
    assert vote == VOTE_3D and before == after > 0.95


def test_what_nobody_labelled_does_not_count() -> None:
    labels = crowd(6.5, 16)
    prediction, pair = seen(labels)
    half = np.arange(labels.shape[2]) < 40
    partly = replace(pair, labels=np.where(half, labels, 0), known=np.broadcast_to(half, labels.shape))
    assert choose_vote(VOTE_3D, 3, [(prediction, partly)])[1] > 0.9


def small_model(folder: Path) -> tuple[ModelInfo, DenseNetwork]:
    levels = [{"channels": 4, "stride": [1, 1], "down": [[3, 3]], "up": [[3, 3]]}]
    shape = {"ndim": 2, "offset_scale": 8.0, "levels": levels}
    config = TrainConfig(name="a", ndim=2, data=(), out=folder, max_steps=1, arguments=shape)
    network = build(config.architecture, config.network_arguments).eval()
    info = describe(config, network, "1", 0, 0.0)
    return info, network


@pytest.mark.parametrize("change", [{"kind": "points"}, {"labels": np.zeros((32, 32), np.int32)}])
def test_without_drawn_shapes_nothing_is_chosen(tmp_path, change) -> None:
    labels = np.zeros((32, 32), np.int32)
    labels[10:20, 10:20] = 1
    labels = change.get("labels", labels)
    _, pair = seen(labels)
    info, network = small_model(tmp_path)
    kept = with_chosen_vote(info, network, 3 * [replace(pair, kind=change.get("kind", "labels"))], SilentReporter())
    assert kept is info and kept.vote == VOTE_2D


def test_of_a_large_image_the_middle_is_taken(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("noyau.pipelines.train_decoder._LARGEST", 400)
    labels = np.zeros((80, 40), np.int32)
    labels[36:44, 16:24] = 1
    _, pair = seen(labels)
    shapes = []

    def predicted(backend, part, info):
        shapes.append((part.image.shape, part.labels.max()))
        return np.zeros((4, 1, *part.image.shape), np.uint8)

    monkeypatch.setattr("noyau.pipelines.train_decoder.predict_pair", predicted)
    info, network = small_model(tmp_path)
    assert with_chosen_vote(info, network, 3 * [pair], SilentReporter()).vote == info.vote
    assert shapes == 3 * [((28, 14), 1)]


def test_one_image_decides_nothing(tmp_path) -> None:
    info, network = small_model(tmp_path)
    _, pair = seen(np.pad(np.ones((8, 8), np.int32), 12))
    assert with_chosen_vote(info, network, [pair], SilentReporter()) is info
