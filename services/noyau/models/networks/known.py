"""The known architectures: name and JSON arguments in, torch module out. Nothing else of a package becomes code."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from noyau.domain.errors import InvalidInput
from noyau.models.networks.dense import DenseNetwork
from noyau.models.networks.monai_nets import residual_unet, swin_unetr, unet
from noyau.models.networks.vote_unet import VoteUNet

_BUILDERS: MappingProxyType[str, Callable[..., DenseNetwork]] = MappingProxyType(
    {"vote-unet": VoteUNet, "unet": unet, "residual-unet": residual_unet, "swin-unetr": swin_unetr}
)
ARCHITECTURES = tuple(_BUILDERS)


def build(architecture: str, arguments: dict[str, Any]) -> DenseNetwork:
    """A freshly initialised network of a known architecture, in training mode.

    Raises:
        InvalidInput: the architecture is unknown or its arguments do not fit.
    """
    try:
        make = _BUILDERS[architecture]
    except KeyError:
        known = ", ".join(sorted(ARCHITECTURES))
        raise InvalidInput(f"The network architecture '{architecture}' is unknown.", f"Known are: {known}.") from None
    try:
        return make(**arguments)
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise InvalidInput(f"The arguments of architecture '{architecture}' do not fit: {error}.") from error


def arguments_for(architecture: str, ndim: int) -> dict[str, Any]:
    """The shape of an architecture that is taken when none is given, for nuclei some 10 to 20 voxels wide.

    Raises:
        InvalidInput: the architecture is unknown.
    """
    if architecture == "vote-unet":
        return default_arguments(ndim)
    flat = ndim == 2
    common: dict[str, Any] = {"ndim": ndim, "offset_scale": 16.0 if flat else 8.0}
    # In 3D voxels are some twice as long in z: the first level works at half the resolution in y and x.
    coarse = {} if flat else {"stem": [1, 2, 2]}
    if architecture == "unet":
        widths = [16, 32, 64, 128] if flat else [32, 64, 128]
        return {**common, **coarse, "widths": widths, "strides": [[2] * ndim] * (len(widths) - 1)}
    if architecture == "residual-unet":
        return {**common, **coarse, "width": 16, "blocks": [1, 2, 2, 2] if flat else [1, 2, 2]}
    if architecture == "swin-unetr":
        return {**common, "width": 12}
    raise InvalidInput(
        f"The network architecture '{architecture}' is unknown.", f"Known are: {', '.join(sorted(ARCHITECTURES))}."
    )


def default_arguments(ndim: int) -> dict[str, Any]:
    """The shipped shapes of `vote-unet`.

    3D: the first level works at half the y/x resolution, where voxels of 1.75 x 0.8 x 0.8 um are nearly cubic; a
    small receptive field in z keeps the halo, and with it the overhead of thin tiles, small.
    2D: nuclei of 5 to 120 pixels ask for full resolution and for a wide receptive field at once.
    """
    if ndim == 3:
        cube, plane = [3, 3, 3], [1, 3, 3]
        return {
            "ndim": 3,
            "offset_scale": 8.0,
            "levels": [
                {"channels": 32, "stride": [1, 2, 2], "stem": [1, 4, 4], "down": [cube], "up": [cube, plane]},
                {"channels": 96, "stride": [2, 2, 2], "down": [cube, cube, cube], "residual": True},
            ],
        }
    flat = [3, 3]
    return {
        "ndim": 2,
        "offset_scale": 16.0,
        "levels": [
            {"channels": 24, "stride": [1, 1], "down": [flat], "up": [flat]},
            {"channels": 48, "stride": [2, 2], "down": [flat], "up": [flat]},
            {"channels": 80, "stride": [2, 2], "down": [flat], "up": [flat]},
            {"channels": 96, "stride": [2, 2], "down": [flat], "up": [flat]},
            {"channels": 128, "stride": [2, 2], "down": [flat], "residual": True},
        ],
    }
