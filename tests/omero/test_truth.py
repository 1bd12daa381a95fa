"""Corrected and hand-drawn ROIs and label images become pairs to train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import InvalidInput, NotFound
from noyau.domain.omero_uri import OmeroUri
from noyau.domain.progress import SilentReporter
from noyau.domain.training_jobs import TrainSpec
from noyau.omero.gateway import Gateway
from noyau.omero.images import read_image
from noyau.omero.label_image import LabelImage
from noyau.omero.masks import volume_masks
from noyau.omero.rois import ObjectCrop
from noyau.omero.runs import Run
from noyau.omero.visitor import Visitor
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.datasets import open_pairs
from noyau.pipelines.omero_pairs import fetch_pairs, with_fetched_data
from noyau.sinks.omero import OmeroSink
from omero import model
from omero.rtypes import rdouble, rint, rstring
from omero_kit import ALIAS, PASSWORD_ENV, new_image, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed, asymmetric

SHAPE = (3, 40, 50)
EVERYTHING = AccessPolicy.everything()
Login = Callable[..., Any]


@pytest.fixture
def visitor(omero_place: Place, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed)]) as gateway:
        yield visitor_of(gateway, seed, "alice")


@pytest.fixture
def dataset(login: Login) -> int:
    made = model.DatasetI()
    made.setName(rstring("to learn from"))
    return login("alice", "lab").sf.getUpdateService().saveAndReturnObject(made).id.val


def labels() -> np.ndarray:
    volume = np.zeros(SHAPE, np.uint32)
    volume[0:2, 3:9, 4:11] = 1
    volume[2, 0, 0:6] = 2
    volume[1, 20:25, 40:50] = 70_000
    return volume


def objects(volume: np.ndarray) -> list[ObjectCrop]:
    numbers = [label for label, _ in volume_masks(volume)]
    return [ObjectCrop(number, 0, volume, (0, 0, 0), (255, 0, 0, 110)) for number in numbers]


def image_in(login: Login, dataset: int, seed: int = 0) -> tuple[int, np.ndarray]:
    array = asymmetric((1, 2, *SHAPE), "uint16", seed=seed)
    return new_image(login, "alice", "lab", array, channels=("DAPI", "GFP"), dataset=dataset), array


def sink_of(visitor: Visitor, image: int) -> OmeroSink:
    uri = OmeroUri(ALIAS, "image", image)
    return OmeroSink(visitor.at(uri), uri, Run("a1", "nuclei"))


def fetched(uri: str, folder: Path, visitor: Visitor) -> list[dict[str, np.ndarray]]:
    paths = fetch_pairs(uri, folder, visitor, "nuclei", access=EVERYTHING, reporter=SilentReporter())
    found = []
    for path in paths:
        with np.load(path) as arrays:
            found.append({name: arrays[name] for name in arrays.files})
    return found


def test_masks_become_a_pair_with_the_chosen_channel(
    visitor: Visitor, login: Login, dataset: int, tmp_path: Path
) -> None:
    image, array = image_in(login, dataset)
    sink_of(visitor, image).write_rois(objects(labels()), "masks")
    (pair,) = fetched(f"omero://{ALIAS}/dataset/{dataset}?c=GFP", tmp_path, visitor)
    assert (pair["labels"] == labels()).all()
    assert (pair["image"] == array[0, 1]).all()
    assert pair["voxel_size"].tolist() == [0.5, 0.25, 0.125]


def test_a_label_image_is_taken_where_there_are_no_outlines(
    visitor: Visitor, login: Login, dataset: int, tmp_path: Path
) -> None:
    image, _ = image_in(login, dataset)
    uri = OmeroUri(ALIAS, "image", image)
    known = visitor.at(uri).call(lambda line: read_image(line, uri), "reading")
    text = Run("a1", "nuclei").image_description(uri)
    sink = sink_of(visitor, image)
    sink.write_label_image(LabelImage(known, "nuclei", text, 70_000, None, lambda time, z: labels()[z]))
    sink.write_rois(objects(labels()), "points")
    (pair,) = fetched(f"omero://{ALIAS}/image/{image}", tmp_path, visitor)
    assert (pair["labels"] == labels()).all()


def test_images_without_anything_drawn_are_left_out(
    visitor: Visitor, login: Login, dataset: int, tmp_path: Path
) -> None:
    first, _ = image_in(login, dataset, 1)
    with pytest.raises(NotFound, match="to learn from"):
        fetched(f"omero://{ALIAS}/dataset/{dataset}", tmp_path, visitor)
    second, array = image_in(login, dataset, 2)
    _draw(login("alice", "lab"), second)
    (pair,) = fetched(f"omero://{ALIAS}/dataset/{dataset}", tmp_path, visitor)
    assert (pair["image"] == array[0, 0]).all()
    assert (pair["labels"][1, 4:10, 6:16] == 1).all()
    assert (pair["labels"] > 0).sum() == 60
    assert not (tmp_path / f"image{first}_t000.npz").exists()


def test_what_was_fetched_is_not_fetched_again(visitor: Visitor, login: Login, dataset: int, tmp_path: Path) -> None:
    image, _ = image_in(login, dataset)
    _draw(login("alice", "lab"), image)
    uri = f"omero://{ALIAS}/image/{image}"
    fetched(uri, tmp_path, visitor)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns
    fetched(uri, tmp_path, visitor)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(InvalidInput, match="finest"):
        fetched(f"{uri}?level=1", tmp_path, visitor)


def test_a_training_job_finds_its_pairs(visitor: Visitor, login: Login, dataset: int, tmp_path: Path) -> None:
    image, _ = image_in(login, dataset)
    sink_of(visitor, image).write_rois(objects(labels()), "masks")
    nothing: Any = None
    context = PipelineContext(nothing, EVERYTHING, tmp_path, nothing, omero=visitor)
    spec = with_fetched_data(TrainSpec(name="mine", data=(f"omero://{ALIAS}/dataset/{dataset}",)), context)
    found = open_pairs(spec.data, access=EVERYTHING)
    assert len(found.pairs) == 1
    assert found.pairs[0].found.objects == 3


def _draw(client: Any, image: int) -> None:
    """A rectangle of 6 x 10 pixels in plane 1, and a point."""
    rectangle, point, roi = model.RectangleI(), model.PointI(), model.RoiI()
    for name, value in (("X", 6), ("Y", 4), ("Width", 10), ("Height", 6)):
        getattr(rectangle, f"set{name}")(rdouble(value))
    rectangle.setTheZ(rint(1))
    point.setX(rdouble(30))
    point.setY(rdouble(30))
    roi.setImage(model.ImageI(image, False))
    roi.addShape(rectangle)
    roi.addShape(point)
    client.sf.getUpdateService().saveObject(roi)
