"""The vote decoder of a trained model, chosen on the labelled images that it was trained for.

The weights alone do not make a model: how near two centres may be, and how much their votes are smoothed, decides about
small and crowded nuclei as much. A few labelled images are enough to choose that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from noyau.decoding.vote import segment_crop
from noyau.domain.geometry import as_index
from noyau.domain.model import ModelInfo, VoteParams
from noyau.domain.progress import Reporter
from noyau.inference.torch_backend import TorchBackend
from noyau.models.networks import DenseNetwork
from noyau.pipelines.train_validation import as_volume, predict_pair
from noyau.training.dataset import Pair
from noyau.training.metrics import Score, pool, score
from noyau.training.scaling import stretched_vote

# Sizes of nuclei that are tried, as ratios to the one that the parameters were made for.
_RATIOS = (0.6, 0.72, 0.85, 1.2, 1.4)
# What another choice must be better by, so that chance does not decide.
_GAIN = 0.005
# Of all images together, and of one: enough to choose by, predicted in one window and decoded in seconds.
_MOST_VOXELS = 6_000_000
_LARGEST = 2_000_000
# One image that was trained on does not say what suits others: nuclei of others would be cut into pieces.
_FEWEST = 3


def with_chosen_vote(info: ModelInfo, network: DenseNetwork, pairs: Sequence[Pair], reporter: Reporter) -> ModelInfo:
    """The model with the decoder's parameters that suit these images best; its own where no others are clearly better.

    Args:
        info: describes the model; one with another decoder stays as it is.
        network: trained.
        pairs: on the model's grid; those whose shapes were drawn are used, if there are three or more.
        reporter: is told the choice; its `check` may stop the work.
    """
    drawn = _some([_middle(pair) for pair in pairs if pair.kind == "labels" and len(pair.objects.ids)])
    if info.decoder != "vote" or len(drawn) < _FEWEST:
        return info
    backend = TorchBackend(network, info.ndim, next(network.parameters()).device.type)
    seen = []
    for pair in drawn:
        reporter.check()
        seen.append((predict_pair(backend, pair, info), pair))
    vote, before, after = choose_vote(info.vote, info.ndim, seen)
    reporter.log(
        f"decoder: nms {vote.nms}, smooth {vote.smooth}: {after:.3f} on {len(seen)} pairs, before {before:.3f}"
    )
    return replace(info, vote=vote)


def choose_vote(
    vote: VoteParams, ndim: int, seen: Sequence[tuple[np.ndarray, Pair]]
) -> tuple[VoteParams, float, float]:
    """(the best parameters, mean of F1 at 0.5, F1 at 0.7 and SEG before, and with the best).

    Args:
        vote: to start from, and to keep unless others are better by a margin.
        ndim: 2 or 3.
        seen: quantised predictions uint8 (planes, Z, Y, X) with their pairs.
    """
    before = best = _figure(vote, seen)
    for candidates in (_other_sizes, _less_smooth):
        for other in candidates(vote, ndim):
            found = _figure(other, seen)
            if found > best + _GAIN:
                vote, best = other, found
    return vote, before, best


def _other_sizes(vote: VoteParams, ndim: int) -> list[VoteParams]:
    return [stretched_vote(vote, ndim, ratio) for ratio in _RATIOS]


def _less_smooth(vote: VoteParams, ndim: int) -> list[VoteParams]:
    return [replace(vote, smooth=as_index(width // 2 for width in vote.smooth))] if any(vote.smooth) else []


def _figure(vote: VoteParams, seen: Sequence[tuple[np.ndarray, Pair]]) -> float:
    pooled = pool([_score(vote, prediction, pair) for prediction, pair in seen])
    return (pooled.f1(0.5) + pooled.f1(0.7) + pooled.seg) / 3


def _score(vote: VoteParams, prediction: np.ndarray, pair: Pair) -> Score:
    truth, found = as_volume(pair.labels), segment_crop(prediction, vote)
    if pair.known is not None:
        known = as_volume(pair.known)
        truth, found = np.where(known, truth, 0), np.where(known, found, 0)
    return score(truth, found, (0.5, 0.7))


def _middle(pair: Pair) -> Pair:
    """The middle of a large image."""
    share = min(1.0, (_LARGEST / pair.image.size) ** (1 / pair.image.ndim))
    sizes = [max(1, int(n * share)) for n in pair.image.shape]
    box = tuple(slice((n - size) // 2, (n + size) // 2) for n, size in zip(pair.image.shape, sizes, strict=True))
    known = None if pair.known is None else pair.known[box]
    return pair if share == 1.0 else replace(pair, image=pair.image[box], labels=pair.labels[box], known=known)


def _some(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs spread evenly over all, at least one and no more than can be decoded quickly."""
    if not pairs:
        return []
    count = max(1, min(len(pairs), int(_MOST_VOXELS / max(pair.image.size for pair in pairs))))
    return [pairs[int((i + 0.5) * len(pairs) / count)] for i in range(count)]
