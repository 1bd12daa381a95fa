"""Images of nuclei in OMERO, in a project and datasets as a user would have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from noyau.domain.geometry import VoxelSize
from noyau.training.synthetic import generate, recipe_named
from omero import model
from omero.rtypes import rstring
from omero_seed import make_image

PROJECT, FIRST, SECOND = "Cell cultures", "Control", "Treated"
VOXEL = VoxelSize(1.0, 0.5, 0.5)


@dataclass(frozen=True)
class Cultures:
    """What is there: a project with two datasets, the first with one image, the second with two.

    Attributes:
        project, control, treated: Ids of the containers.
        images: Name to id.
    """

    project: int
    control: int
    treated: int
    images: dict[str, int]


def make_cultures(client: Any) -> Cultures:
    """Makes them for the user and group of the client's session."""
    project = model.ProjectI()
    project.setName(rstring(PROJECT))
    number = client.sf.getUpdateService().saveAndReturnObject(project).id.val
    control, treated = _dataset(client, number, FIRST), _dataset(client, number, SECOND)
    images = {
        "well A1": _image(client, control, "well A1", (256, 336), 3),
        "well B1": _image(client, treated, "well B1", (96, 128), 5),
        "well B2": _image(client, treated, "well B2", (96, 128), 8),
    }
    return Cultures(number, control, treated, images)


def _dataset(client: Any, project: int, name: str) -> int:
    dataset = model.DatasetI()
    dataset.setName(rstring(name))
    link = model.ProjectDatasetLinkI()
    link.setParent(model.ProjectI(project, False))
    link.setChild(dataset)
    return int(client.sf.getUpdateService().saveAndReturnObject(link).child.id.val)


def _image(client: Any, dataset: int, name: str, size: tuple[int, int], seed: int) -> int:
    volume = generate((1, *size), VOXEL, seed, recipe_named("culture_2d"))
    array = np.asarray(volume.image)[np.newaxis, np.newaxis]
    return make_image(client, array, name, channels=("DAPI",), pixel_size=tuple(VOXEL), dataset=dataset)
