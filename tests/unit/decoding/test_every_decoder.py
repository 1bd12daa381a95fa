"""What every decoder must do with the answer of a network that knows the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from noyau.assembly.numbering import apply_numbering, number_objects
from noyau.assembly.objects import merge, summarise
from noyau.assembly.stitching import agreements, join, joined_objects, provisional_names, spread_numbers
from noyau.decoding import vote
from noyau.decoding.windowed import window_decoder
from noyau.domain.errors import InvalidInput
from noyau.domain.geometry import Box, Index3, as_index
from noyau.domain.model import VoteParams
from noyau.inference.quantised import QuantisedNetwork, has_vectors, place
from noyau.training.dataset import Pair
from noyau.training.objectives import RAYS, objective_for
from noyau.training.sampling import cut
from noyau.training.targets import find_objects

DECODERS = ("vote", "border", "star", "flow")
MIN_VOXELS = 20
Spacing = tuple[float, float, float]


class Truth(torch.nn.Module):
    """Gives one answer, whatever it sees."""

    def __init__(self, answer: torch.Tensor, logits: int, quantum: float) -> None:
        super().__init__()
        self.answer, self.logits, self.quantum, self.channels = answer, logits, quantum, len(answer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.answer[None]


def ideal(name: str, labels: np.ndarray, spacing: Spacing) -> np.ndarray:
    """The quantised prediction (planes, Z, Y, X) of a network that learnt the objective of a decoder perfectly."""
    flat = labels.shape[0] == 1
    truth = labels[0] if flat else labels
    objective = objective_for(name, truth.ndim, scale=8.0, voxel_size=spacing)
    pair = Pair("truth", truth.astype(np.float32), truth, 0.0, 1.0, find_objects(truth))
    raw = cut(pair, truth.shape, np.eye(truth.ndim), (np.array(truth.shape) - 1) / 2)
    targets = objective.targets(raw, pair)
    # A little doubt, as networks have it.
    logits = torch.logit(targets.foreground.clamp(0.02, 0.98))
    network = Truth(torch.cat([logits, targets.offsets]), objective.logits, objective.quantum)
    answer = QuantisedNetwork(network)(torch.zeros(1))[0].numpy()
    planes = objective.channels + (1 if flat and has_vectors(network, truth.ndim) else 0)
    prediction = np.zeros((planes, *labels.shape), np.uint8)
    place(answer, prediction, truth.ndim, objective.logits, has_vectors(network, truth.ndim))
    return prediction


def planes_of(name: str, ndim: int) -> int:
    return {"vote": 4, "border": 3, "flow": 4, "star": 2 + RAYS[ndim]}[name]


@dataclass(frozen=True)
class Case:
    """One decoder, for boxes of one spacing and dimension."""

    name: str
    decode: Callable[[np.ndarray], np.ndarray]


def case(name: str, ndim: int = 3, spacing: Spacing = (1.0, 1.0, 1.0)) -> Case:
    """The decoder with parameters for nuclei of about 12 voxels."""
    if name == "vote":
        weights = as_index(round(s * s) for s in spacing)
        params = VoteParams(
            seed_mass=20, smooth=(1, 2, 2), nms=(2, 3, 3), weights=weights, radius=6, max_offset=(10, 20, 20),
            min_voxels=MIN_VOXELS,
        )  # fmt: skip
        return Case(name, lambda p: vote.segment_crop(p, params).astype(np.int64))
    parameters = {"min_voxels": MIN_VOXELS}
    if name == "star":
        parameters |= {"ndim": ndim, "rays": RAYS[ndim], "spacing": spacing, "quantum": 0.25 if ndim == 3 else 0.5}
    if name == "flow":
        parameters |= {"spacing": spacing}
    return Case(name, window_decoder(name, parameters).decode)


def spheres(shape: Index3, balls: list[tuple[tuple[float, float, float], float]], spacing: Spacing = (1.0, 1.0, 1.0)):
    """Labels of balls; where two meet the nearer centre wins, so that they touch."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    labels, best = np.zeros(shape, np.int32), np.full(shape, np.inf)
    for label, (centre, radius) in enumerate(balls, start=1):
        far = (((grid - centre) * spacing) ** 2).sum(-1)
        nearer = (far <= radius**2) & (far < best)
        labels[nearer], best[nearer] = label, far[nearer]
    return labels


def matched(truth: np.ndarray, found: np.ndarray) -> list[float]:
    """IoU of each true object with the found one that covers it best; each may be taken once."""
    values, taken = [], set()
    for label in np.unique(truth[truth > 0]):
        inside = truth == label
        names, counts = np.unique(found[inside], return_counts=True)
        counts[names == 0] = 0
        name = names[counts.argmax()]
        assert name not in taken, "one object covers two nuclei"
        taken.add(name)
        values.append((inside & (found == name)).sum() / (inside | (found == name)).sum() if name else 0.0)
    return values


def count(found: np.ndarray) -> int:
    return int((np.bincount(found.ravel())[1:] >= MIN_VOXELS).sum())


@pytest.fixture(params=DECODERS)
def name(request) -> str:
    return request.param


TOUCHING = [((12, 14, 12), 6.0), ((12, 14, 23), 6.0), ((12, 24.5, 17.5), 6.0)]


def test_touching_spheres_are_separated(name):
    labels = spheres((25, 40, 40), TOUCHING)
    found = case(name).decode(ideal(name, labels, (1.0, 1.0, 1.0)))
    assert count(found) == 3
    assert min(matched(labels, found)) > 0.8


@pytest.mark.parametrize("planes", [1, 12])
def test_an_empty_prediction_has_no_objects(name, planes):
    prediction = np.zeros((planes_of(name, 2 if planes == 1 else 3), planes, 24, 24), np.uint8)
    found = case(name, 2 if planes == 1 else 3).decode(prediction)
    assert found.shape == (planes, 24, 24) and not found.any()


@pytest.mark.parametrize("value", [1, 128, 255])
def test_a_constant_prediction_is_survived(name, value):
    prediction = np.full((planes_of(name, 3), 8, 24, 24), value, np.uint8)
    found = case(name).decode(prediction)
    assert found.shape == (8, 24, 24) and found.min() >= 0


def test_one_plane(name):
    labels = spheres((1, 48, 48), [((0, 16, 16), 7.0), ((0, 16, 29), 7.0), ((0, 36, 20), 6.0)])
    found = case(name, 2).decode(ideal(name, labels, (1.0, 1.0, 1.0)))
    assert found.shape == labels.shape and count(found) == 3
    assert min(matched(labels, found)) > 0.8


def test_anisotropic_voxels(name):
    spacing = (2.2, 1.0, 1.0)
    labels = spheres((14, 44, 44), [((6, 14, 13), 8.0), ((6, 14, 28), 8.0), ((6.5, 30, 21), 8.0)], spacing)
    found = case(name, spacing=spacing).decode(ideal(name, labels, spacing))
    assert count(found) == 3
    assert min(matched(labels, found)) > 0.75


def test_a_nucleus_that_the_border_cuts_is_found_once(name):
    labels = spheres((20, 30, 30), [((10, 0, 15), 7.0), ((10, 20, 15), 6.0)])
    found = case(name).decode(ideal(name, labels, (1.0, 1.0, 1.0)))
    assert count(found) == 2
    # The ends of a nucleus that the patch cuts are not known to a shape; what lies inside is.
    assert min(matched(labels, found)) > 0.5


def field() -> np.ndarray:
    rng = np.random.default_rng(5)
    places = np.stack(np.meshgrid([10, 21], [10, 22, 34, 46, 58], [10, 22, 34, 46, 58, 70], indexing="ij"), -1)
    balls = [(tuple(p + rng.uniform(-1, 1, 3)), float(rng.uniform(5, 6.5))) for p in places.reshape(-1, 3)]
    return spheres((32, 68, 80), balls)


def test_windows_give_the_objects_of_the_whole(name):
    labels = field()
    prediction = ideal(name, labels, (1.0, 1.0, 1.0))
    chosen = case(name)
    whole = chosen.decode(prediction)
    tiled = in_windows(chosen.decode, prediction, (32, 24, 32), (8, 14, 14))
    assert count(whole) == count(tiled) == labels.max()
    assert min(matched(whole, tiled)) > 0.9


def in_windows(decode, prediction: np.ndarray, core: Index3, overlap: Index3) -> np.ndarray:
    """Final labels of a prediction that is decoded window by window."""
    shape = as_index(prediction.shape[1:])
    starts = [(z, y, x) for z in range(0, shape[0], core[0]) for y in range(0, shape[1], core[1]) for x in range(0, shape[2], core[2])]  # noqa: E501  # fmt: skip
    cores = [Box(s, as_index(a + c for a, c in zip(s, core, strict=True))).clipped(shape) for s in starts]
    windows = [c.grown(overlap).clipped(shape) for c in cores]
    names = [
        provisional_names(decode(prediction[(slice(None), *w.slices)]), w, shape, i, len(windows))
        for i, w in enumerate(windows)
    ]
    pairs = []
    for i, a in enumerate(windows):
        for j in range(i + 1, len(windows)):
            common = a.intersection(windows[j])
            if common.voxels:
                one, other = (n[common.relative_to(w.start).slices] for n, w in ((names[i], a), (names[j], windows[j])))
                pairs.append(agreements(one, other))
    joins = join(pairs)
    parts = [n[c.relative_to(w.start).slices] for n, c, w in zip(names, cores, windows, strict=True)]
    objects = merge([summarise(p, c.start) for p, c in zip(parts, cores, strict=True)])
    numbering = number_objects(joined_objects(objects, joins), MIN_VOXELS)
    spread = spread_numbers(numbering, objects, joins)
    result = np.zeros(shape, np.uint32)
    for part, box in zip(parts, cores, strict=True):
        result[box.slices] = apply_numbering(part, spread)
    return result.astype(np.int64)


@pytest.mark.parametrize("kind", ["border", "star", "flow", "foreground"])
def test_a_prediction_of_other_channels_is_refused(kind):
    with pytest.raises(InvalidInput, match="shape"):
        window_decoder(kind, {}).decode(np.zeros((2, 4, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("guess", {}, "no decoder 'guess'"),
        ("border", {"height": 3}, "no parameter 'height'"),
        ("border", {"foreground": 1.5}, "not between 0 and 1"),
        ("flow", {"steps": 0}, "0 steps"),
        ("star", {"rays": 2}, "2 rays"),
        ("star", {"share": "half"}, "do not fit"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(kind, parameters, message):
    with pytest.raises(InvalidInput, match=message):
        window_decoder(kind, parameters)


def test_parameters_come_as_they_are_stored():
    decoder = window_decoder("star", {"overlap": [1, 2, 3], "spacing": [2.0, 1.0, 1.0], "rays": 32})
    assert decoder.overlap == (1, 2, 3) and decoder.planes == 34


def test_the_foreground_decoder_cuts_at_necks():
    labels = spheres((25, 40, 40), TOUCHING)
    prediction = ((labels > 0) * 255).astype(np.uint8)[None]
    apart = window_decoder("foreground", {"neck": 0.8}).decode(prediction)
    assert len(np.unique(apart)) == 4 and min(matched(labels, apart)) > 0.7
    assert len(np.unique(window_decoder("foreground", {"neck": 1.0}).decode(prediction))) == 2
