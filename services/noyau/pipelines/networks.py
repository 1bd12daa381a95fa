"""From what a caller asked for to a network that is ready to run."""

from __future__ import annotations

from noyau.domain.image import ImageInfo
from noyau.domain.model import ModelInfo
from noyau.inference.backend import Backend
from noyau.inference.cache import BackendCache
from noyau.inference.selection import choose_for
from noyau.models.registry import ModelRegistry
from noyau.pipelines.decoders import check_decoder
from noyau.pipelines.prepare import DEFAULT_MODELS


def find_model(registry: ModelRegistry, wanted: str | None, info: ImageInfo) -> ModelInfo:
    """The model asked for, or the shipped one for the image's dimensions.

    Raises:
        NotFound: there is no such model; the message names the known ones.
        FailedPrecondition: its decoder is not known.
    """
    model = registry.get(wanted or DEFAULT_MODELS[2 if info.is_2d else 3])
    check_decoder(model)
    return model


def ready_network(
    registry: ModelRegistry, backends: BackendCache, model: ModelInfo, device: str, backend: str
) -> Backend:
    """The model's network on the device, from the cache or freshly loaded.

    Raises:
        FailedPrecondition: the device or the backend is not there.
        DamagedData: the package is damaged.
    """
    return backends.get(model, choose_for(model, device, backend), lambda: registry.load(model.ref).network)
