"""Which decoder a model has, what it needs, and what its results should say of themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from noyau.domain.errors import FailedPrecondition, InvalidInput
from noyau.domain.model import ModelInfo

if TYPE_CHECKING:  # brings libraries that most jobs do not need
    from noyau.decoding.windowed import WindowDecoder

VOTE = "vote"
# What a network answers that was trained without labels, see `noyau.training.pretraining`; it has no decoder.
PRETRAINED = "denoise"


def check_decoder(model: ModelInfo) -> None:
    """Refuses a model whose decoder this version does not have, or whose parameters or packages are not right.

    Raises:
        FailedPrecondition: the decoder is unknown, its parameters do not fit, or an optional package is absent.
    """
    if model.decoder == VOTE:
        return
    from noyau.decoding import star_geometry
    from noyau.decoding.windowed import DECODERS

    if model.decoder == PRETRAINED:
        raise FailedPrecondition(
            f"The model {model.ref} was pretrained without labels and finds no nuclei yet.",
            "Make it the parent of a training with labels.",
        )
    if model.decoder not in DECODERS:
        raise FailedPrecondition(
            f"The model {model.ref} needs the decoder '{model.decoder}', which this version does not have.",
            "Update Noyau, or take another model.",
        )
    if model.decoder == "star":
        star_geometry.require()
    try:
        decoder_of(model)
    except InvalidInput as error:
        raise FailedPrecondition(f"The model {model.ref} cannot be used: {error.cause}", error.remedy) from error


def decoder_of(model: ModelInfo, foreground: float | None = None) -> WindowDecoder | None:
    """The decoder that sees one window at a time, or None for the vote, which needs no windows.

    Args:
        model: the model.
        foreground: the caller's threshold; None takes the model's.

    Raises:
        InvalidInput: the decoder is unknown or its parameters do not fit.
    """
    if model.decoder == VOTE:
        return None
    from noyau.decoding.windowed import window_decoder

    decoder = window_decoder(model.decoder, model.parameters)
    if foreground is None:
        return decoder
    changed: WindowDecoder = replace(decoder, foreground=foreground)  # type: ignore[type-var]  # all are dataclasses
    return changed


def tiling_warnings(model: ModelInfo, tiles: int) -> tuple[str, ...]:
    """What the caller should know where a result depends on how the image was cut.

    Args:
        model: the model.
        tiles: windows of the network.
    """
    warnings = []
    if model.decoder != VOTE:
        warnings.append(
            f"The decoder '{model.decoder}' of {model.ref} sees one window at a time; objects of neighbouring windows "
            "are joined where they share more than half of their voxels, so that another tiling may change a few."
        )
    if not model.bounded and tiles > 1:
        warnings.append(
            f"The network '{model.architecture}' of {model.ref} has no bounded neighbourhood; its prediction depends "
            f"slightly on the {tiles} overlapping tiles that the image was cut into."
        )
    return tuple(warnings)
