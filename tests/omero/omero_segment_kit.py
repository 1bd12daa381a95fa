"""The small world of the segmentation tests (blobs and a network that finds them), put into an OMERO server."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from noyau.domain.access import AccessPolicy
from noyau.omero.gateway import Gateway
from noyau.pipelines.context import PipelineContext
from omero_kit import ALIAS, new_image, visitor_of
from omero_seed import Seed

_PATH = Path(__file__).resolve().parents[1] / "system" / "segment" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("segment_world", _PATH)
if _SPEC is None or _SPEC.loader is None:
    raise ImportError(f"{_PATH} cannot be read")
world = importlib.util.module_from_spec(_SPEC)
sys.modules["segment_world"] = world
_SPEC.loader.exec_module(world)


@dataclass(frozen=True)
class Bench:
    """Makes images in OMERO and segments them as one of the seed's users.

    Attributes:
        workshop: of the segmentation tests.
        gateway: as the service has it.
        seed: users, groups, images.
        login: the fixture.
    """

    workshop: Any
    gateway: Gateway
    seed: Seed
    login: Any

    def image(self, pixels: np.ndarray, user: str = "alice", group: str = "lab", **options: Any) -> int:
        """A new image of z/y/x, t/z/y/x or t/c/z/y/x pixels; voxels of 1 micrometre unless told otherwise."""
        array = pixels
        if pixels.ndim < 5:
            array = pixels[:, np.newaxis] if pixels.ndim == 4 else pixels[np.newaxis, np.newaxis]
        return new_image(self.login, user, group, array, **{"pixel_size": (1.0, 1.0, 1.0), **options})

    def context(self, user: str = "alice", **changes: Any) -> PipelineContext:
        """A fresh context of a job of that user."""
        visitor = visitor_of(self.gateway, self.seed, user)
        return self.workshop.context(omero=visitor, access=AccessPolicy.everything(), **changes)

    def spec(self, image: int | str, **changes: Any) -> Any:
        """A request for an image by its id, or for what a URI names."""
        uri = f"omero://{ALIAS}/image/{image}" if isinstance(image, int) else image
        return self.workshop.spec(uri, **changes)
