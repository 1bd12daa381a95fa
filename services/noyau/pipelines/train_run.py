"""One training run on pairs in memory: the loop with its log, its validation and its processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from noyau.domain.model import ModelInfo
from noyau.domain.progress import Reporter
from noyau.models.networks import build
from noyau.models.package import LoadedModel
from noyau.pipelines.train_data import TrainingData
from noyau.pipelines.train_validation import image_validator
from noyau.training.batches import BatchSource
from noyau.training.blending import blend, check_blend
from noyau.training.config import TrainConfig
from noyau.training.dataset import Pair
from noyau.training.export import describe
from noyau.training.fingerprint import Fingerprint
from noyau.training.history import LOG_NAME, LoggedReporter
from noyau.training.loop import Loop, TrainResult, Validator
from noyau.training.ranks import Ranks
from noyau.training.validation import crop_validator

FIRST_VERSION = "1"


@dataclass(frozen=True)
class Origin:
    """What a run knows besides its configuration.

    Attributes:
        parent: the model whose weights are the start.
        found: fingerprint of the data on the model's grid.
    """

    parent: LoadedModel | None = None
    found: Fingerprint | None = None

    @property
    def parent_info(self) -> ModelInfo | None:
        return None if self.parent is None else self.parent.info


def train_on(
    config: TrainConfig,
    data: TrainingData,
    reporter: Reporter,
    origin: Origin,
    *,
    validator: Validator | None = None,
    ranks: Ranks | None = None,
    saved: Callable[[int], None] = lambda step: None,
    thin: bool = False,
) -> TrainResult:
    """Trains, and keeps checkpoints and metrics in `config.out`.

    Args:
        config: the run.
        data: on the model's grid.
        reporter: receives stages, progress and metrics; its `check` may stop the run.
        origin: where the weights and the decoder's parameters come from.
        validator: what to measure; None measures crops and whole images of `data.validation`.
        ranks: the processes that share every batch.
        saved: told the step of every checkpoint on disk.
        thin: whether training metrics are thinned out on their way to `reporter`.

    Raises:
        InvalidInput: the parent's weights cannot have the share that they should.
        NoyauError: what the loop raises.
    """
    ranks = ranks or Ranks()
    if validator is None and data.validation and config.validate_every and ranks.leads:
        validator = _default_validator(config, data.validation, origin)
    source = BatchSource(config, data.train, data.synthetic, ranks.number)
    weights = None if origin.parent is None else origin.parent.network.state_dict()
    check_blend(config, weights)
    if not ranks.leads:
        return Loop(config, source, reporter, parent=weights, ranks=ranks).run()
    with LoggedReporter(reporter, config.out / LOG_NAME, thin=thin) as logged:
        result = Loop(config, source, logged, validator, parent=weights, ranks=ranks, saved=saved).run()
    if weights is not None and config.parent_share:
        blend(result.network, weights, config.parent_share)
    return result


def _default_validator(config: TrainConfig, pairs: Sequence[Pair], origin: Origin) -> Validator:
    """Figures on fixed crops and on whole images of a part of the validation set, spread evenly over it."""
    limit = config.val_limit or len(pairs)
    some = pairs[:: max(1, len(pairs) // limit)][:limit]
    network = build(config.architecture, config.network_arguments)
    info = describe(config, network, FIRST_VERSION, 0, 0.0, found=origin.found, parent=origin.parent_info)
    crops = crop_validator(BatchSource(config, some), 2 * len(some))
    return image_validator(some, info, crops)
