"""Images in OMERO as sources: the right pixels, whatever the route, and clear refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import omero
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.axes import Axes
from noyau.domain.errors import FailedPrecondition, InvalidInput, LimitExceeded, NotFound, OutOfRange
from noyau.domain.geometry import Box, VoxelSize
from noyau.domain.image import ImageRef
from noyau.omero import blocks
from noyau.omero.gateway import Gateway
from noyau.omero.images import MULTISCALES
from noyau.omero.visitor import Visitor
from noyau.sources.omero import OmeroSource, ZarrBehind, expand_omero, open_omero
from noyau.sources.raster import Raster
from noyau.sources.writing import write_image
from noyau.storage.store import Store
from omero import model
from omero.rtypes import rlong, rstring
from omero_kit import ALIAS, PASSWORD_ENV, new_image, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed, asymmetric, pixels_id

EVERYTHING = AccessPolicy.everything()
Login = Callable[..., Any]


@pytest.fixture
def visitor(omero_place: Place, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed)]) as gateway:
        yield visitor_of(gateway, seed, "alice")


def uri(image: int, query: str = "") -> str:
    return f"omero://{ALIAS}/image/{image}{query}"


def test_description_and_pixels_are_those_of_the_image(visitor: Visitor, seed: Seed) -> None:
    image = seed.images["lab"]
    with open_omero(ImageRef(uri(image.id, "?c=GFP&t=1")), visitor, access=EVERYTHING) as source:
        assert isinstance(source, OmeroSource)
        assert source.info.shape == (3, 48, 64)
        assert (source.info.dtype, source.info.times, source.info.channels) == ("uint16", 2, ("DAPI", "GFP"))
        assert source.info.name == "cells of alice"
        assert source.info.voxel_size == VoxelSize(0.5, 0.25, 0.125)
        assert (source.ref.channel, source.ref.time) == ("GFP", (1, 1))
        for box in (Box.of((3, 48, 64)), Box((1, 5, 7), (3, 40, 60)), Box((2, 47, 63), (3, 48, 64))):
            got = source.read(box, time=1)
            assert got.dtype == np.dtype("=u2")
            assert (got == image.array[1, 1][box.slices]).all()
        assert (source.read(Box.of((3, 48, 64)), time=0, channel=0) == image.array[0, 0]).all()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int32", "float32", "float64"])
def test_every_pixel_type_is_read(visitor: Visitor, login: Login, dtype: str) -> None:
    array = asymmetric((1, 1, 2, 21, 34), dtype, seed=3)
    image = new_image(login, "alice", "lab", array)
    with open_omero(ImageRef(uri(image)), visitor, access=EVERYTHING) as source:
        assert source.info.dtype == dtype
        assert (source.read(Box.of((2, 21, 34))) == array[0, 0]).all()


def test_blocks_of_any_kind_give_the_same(visitor: Visitor, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> None:
    image = seed.images["lab"]
    boxes = [Box((0, 3, 9), (3, 41, 60)), Box((2, 0, 0), (3, 48, 64)), Box((0, 20, 20), (2, 21, 22))]
    for plane, block, tile in ((2**20, 1, 16), (100, 1, 16), (2**20, 2**20, 16), (100, 1, 1024)):
        monkeypatch.setattr(blocks, "PLANE_BYTES", plane)
        monkeypatch.setattr(blocks, "BLOCK_BYTES", block)
        monkeypatch.setattr(blocks, "TILE", tile)
        with open_omero(ImageRef(uri(image.id)), visitor, access=EVERYTHING) as source:
            for box in boxes:
                assert (source.read(box) == image.array[0, 0][box.slices]).all()


def test_a_block_is_fetched_once(
    visitor: Visitor, seed: Seed, omero_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not omero_place.control:
        pytest.skip("a real server does not count calls")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    with open_omero(ImageRef(uri(seed.images["lab"].id)), visitor, access=EVERYTHING) as source:
        omero_place.order("/calls", method="GET")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(source.read, [Box((0, i, 0), (3, i + 20, 64)) for i in range(12)]))
    calls = omero_place.order("/calls", method="GET")
    assert sum(call.endswith(".getPlane") for call in calls) == 3


def test_names_that_are_blank_or_double_are_told_apart(visitor: Visitor, login: Login) -> None:
    array = asymmetric((1, 3, 1, 8, 9), "uint8")
    image = new_image(login, "alice", "lab", array, name='[it\'s] "é" 🔬' + "x" * 300, channels=("A", "A", " "))
    with open_omero(ImageRef(uri(image, "?c=A-1")), visitor, access=EVERYTHING) as source:
        assert source.info.channels == ("A", "A-1", "2")
        assert (source.read(Box.of((1, 8, 9))) == array[0, 1]).all()


def test_a_size_that_is_unknown_is_none(visitor: Visitor, login: Login) -> None:
    image = new_image(login, "alice", "lab", asymmetric((1, 1, 3, 8, 9), "uint8"), pixel_size=None)
    with open_omero(ImageRef(uri(image)), visitor, access=EVERYTHING) as source:
        assert source.info.voxel_size is None
    with open_omero(ImageRef(uri(image)), visitor, voxel_size=VoxelSize(2, 1, 1), access=EVERYTHING) as source:
        assert source.info.voxel_size == VoxelSize(2, 1, 1)


def test_floats_that_are_no_numbers_are_refused(visitor: Visitor, login: Login) -> None:
    array = asymmetric((1, 1, 2, 8, 9), "float32")
    array[0, 0, 1, 3, 4] = np.nan
    image = new_image(login, "alice", "lab", array)
    with (
        open_omero(ImageRef(uri(image)), visitor, access=EVERYTHING) as source,
        pytest.raises(InvalidInput, match="1, 3, 4"),
    ):
        source.read(Box.of((2, 8, 9)))


def test_what_cannot_be_is_refused(visitor: Visitor, seed: Seed) -> None:
    image = seed.images["lab"].id
    for query, error in (("?c=RFP", NotFound), ("?c=7", OutOfRange), ("?t=2", OutOfRange), ("?level=1", OutOfRange)):
        with pytest.raises(error):
            open_omero(ImageRef(uri(image, query)), visitor, access=EVERYTHING)
    with pytest.raises(LimitExceeded):
        open_omero(ImageRef(uri(image)), visitor, access=AccessPolicy.everything(max_voxels=100))
    with pytest.raises(NotFound):
        open_omero(ImageRef(uri(seed.images["private"].id)), visitor, access=EVERYTHING)


def test_an_image_without_pixels_is_refused(visitor: Visitor, login: Login) -> None:
    image = model.ImageI()
    image.setName(rstring("empty"))
    made = login("alice", "lab").sf.getUpdateService().saveAndReturnObject(image).id.val
    with pytest.raises(InvalidInput, match="no pixels"):
        open_omero(ImageRef(uri(made)), visitor, access=EVERYTHING)


def test_a_pyramid_that_is_being_made_is_waited_for_by_the_user(
    visitor: Visitor, login: Login, omero_place: Place
) -> None:
    if not omero_place.control:
        pytest.skip("a real server makes no pyramid on order")
    client = login("alice", "lab")
    image = new_image(login, "alice", "lab", asymmetric((1, 1, 1, 8, 9), "uint8"))
    omero_place.order("/pyramid", {"pixels": pixels_id(client, image), "pending": True})
    with pytest.raises(FailedPrecondition, match="pyramid"):
        open_omero(ImageRef(uri(image)), visitor, access=EVERYTHING)


def test_an_image_that_goes_away_is_told(visitor: Visitor, login: Login) -> None:
    client = login("alice", "lab")
    image = new_image(login, "alice", "lab", asymmetric((1, 1, 2, 8, 9), "uint8"))
    client.submit(omero.cmd.Delete2(targetObjects={"Image": [image]}), loops=50)
    with pytest.raises(NotFound, match=f"Image:{image}"):
        open_omero(ImageRef(uri(image)), visitor, access=EVERYTHING)


@pytest.mark.parametrize("operation", ["*.getPlane", "*.getHypercube", "*.setPixelsId", "IQuery.*"])
def test_a_lost_connection_does_not_show(
    visitor: Visitor, seed: Seed, faults: Callable[..., Any], operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if operation == "*.getPlane":
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    image = seed.images["lab"]
    faults(kind="drop", at=1, operation=operation)
    with open_omero(ImageRef(uri(image.id)), visitor, access=EVERYTHING) as source:
        assert (source.read(Box.of((3, 48, 64))) == image.array[0, 0]).all()


def test_sets_are_expanded(visitor: Visitor, login: Login) -> None:
    # Containers of its own: other tests put images into those of the seed.
    project, dataset = model.ProjectI(), model.DatasetI()
    project.setName(rstring("project"))
    dataset.setName(rstring("dataset"))
    link = model.ProjectDatasetLinkI()
    link.setParent(project)
    link.setChild(dataset)
    saved = login("alice", "lab").sf.getUpdateService().saveAndReturnObject(link)
    project_id, dataset_id = saved.parent.id.val, saved.child.id.val
    pixels = asymmetric((1, 2, 1, 8, 9), "uint8")
    image = new_image(login, "alice", "lab", pixels, dataset=dataset_id, channels=("DAPI", "GFP"))
    expected = [ImageRef(uri(image), channel="GFP")]
    for kind, number in (("image", image), ("dataset", dataset_id), ("project", project_id)):
        assert expand_omero(ImageRef(f"omero://{ALIAS}/{kind}/{number}?c=GFP"), visitor) == expected


def test_plates_wells_and_screens_are_expanded(visitor: Visitor, login: Login) -> None:
    client = login("alice", "lab")
    images = [new_image(login, "alice", "lab", asymmetric((1, 1, 1, 8, 9), "uint8")) for _ in range(3)]
    plate, wells = _plate(client, images)
    screen = model.ScreenPlateLinkI()
    screen.setParent(model.ScreenI())
    screen.getParent().setName(rstring("screen"))
    screen.setChild(model.PlateI(plate, False))
    screen_id = client.sf.getUpdateService().saveAndReturnObject(screen).parent.id.val
    everything = [ImageRef(uri(image)) for image in images]
    assert expand_omero(ImageRef(f"omero://{ALIAS}/plate/{plate}"), visitor) == everything
    assert expand_omero(ImageRef(f"omero://{ALIAS}/screen/{screen_id}"), visitor) == everything
    assert expand_omero(ImageRef(f"omero://{ALIAS}/well/{wells[1]}"), visitor) == everything[1:]


def test_a_set_without_images_is_refused(visitor: Visitor, login: Login) -> None:
    dataset = model.DatasetI()
    dataset.setName(rstring("empty"))
    number = login("alice", "lab").sf.getUpdateService().saveAndReturnObject(dataset).id.val
    with pytest.raises(InvalidInput, match="no images"):
        expand_omero(ImageRef(f"omero://{ALIAS}/dataset/{number}"), visitor)


def test_the_zarr_behind_an_image_is_read_where_it_may_be(
    visitor: Visitor, login: Login, tmp_path: Path, write_zarr: Callable[..., Path]
) -> None:
    array = asymmetric((2, 2, 3, 48, 64), "uint16", seed=9)
    path = write_zarr(tmp_path / "image.ome.zarr", array)
    image = _with_external_info(login, array, str(path))
    told: list[str] = []
    with open_omero(
        ImageRef(uri(image, "?c=GFP")), visitor, access=AccessPolicy((str(tmp_path),)), tell=told.append
    ) as source:
        assert isinstance(source, ZarrBehind)
        assert source.info.channels == ("DAPI", "GFP")
        assert (source.read(Box((0, 3, 4), (3, 40, 50)), time=1) == array[1, 1][:, 3:40, 4:50]).all()
    assert "Zarr behind" in told[0]


def test_the_zarr_is_left_alone_outside_the_roots_or_of_another_shape(
    visitor: Visitor, login: Login, tmp_path: Path, write_zarr: Callable[..., Path]
) -> None:
    array = asymmetric((2, 2, 3, 48, 64), "uint16", seed=9)
    other = write_zarr(tmp_path / "other.ome.zarr", array[:, :, :2])
    for path, roots in ((other, (str(tmp_path),)), (tmp_path / "gone.zarr", (str(tmp_path),)), (other, ("/nowhere",))):
        image = _with_external_info(login, array, str(path))
        told: list[str] = []
        with open_omero(ImageRef(uri(image)), visitor, access=AccessPolicy(roots), tell=told.append) as source:
            assert isinstance(source, OmeroSource)
            assert (source.read(Box.of((3, 48, 64))) == array[0, 0]).all()
        assert "through OMERO" in told[0]


@pytest.fixture
def write_zarr() -> Callable[..., Path]:
    def write(path: Path, array: np.ndarray) -> Path:
        spacing = {"z": 0.5, "y": 0.25, "x": 0.125}
        write_image(Store(str(path)), Raster(array, Axes("tczyx"), spacing, ("a", "b")), "image", "0.5", lambda: None)
        return path

    return write


def _with_external_info(login: Login, array: np.ndarray, path: str) -> int:
    """A new image whose pixels are said to be a Zarr."""
    client = login("alice", "lab")
    image = new_image(login, "alice", "lab", array, channels=("DAPI", "GFP"))
    found = client.sf.getQueryService().get("Image", image)
    info = model.ExternalInfoI()
    info.setEntityId(rlong(3))
    info.setEntityType(rstring(MULTISCALES))
    info.setLsid(rstring(path))
    found.getDetails().setExternalInfo(info)
    client.sf.getUpdateService().saveObject(found)
    return image


def _plate(client: Any, images: list[int]) -> tuple[int, list[int]]:
    """A plate with one image in the first well and the others in the second."""
    plate = model.PlateI()
    plate.setName(rstring("plate"))
    update = client.sf.getUpdateService()
    number = update.saveAndReturnObject(plate).id.val
    wells = []
    for column, inside in enumerate((images[:1], images[1:])):
        well = model.WellI()
        well.setRow(omero.rtypes.rint(0))
        well.setColumn(omero.rtypes.rint(column))
        well.setPlate(model.PlateI(number, False))
        wells.append(update.saveAndReturnObject(well).id.val)
        for image in inside:
            sample = model.WellSampleI()
            sample.setWell(model.WellI(wells[-1], False))
            sample.setImage(model.ImageI(image, False))
            update.saveObject(sample)
    return number, wells
