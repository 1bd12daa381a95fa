"""That OMERO's own Python gateway works with the server as it is, over TCP and TLS, and sees what is there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import omero
import omero.gateway
import pytest
from omero.gateway import BlitzGateway
from omero_place import Place
from omero_seed import Seed, asymmetric
from PIL import Image


@pytest.fixture(params=["tcp", "tls"])
def gateway(request: pytest.FixtureRequest, omero_place: Place, seed: Seed) -> Iterator[BlitzGateway]:
    options: dict[str, Any] = {"host": omero_place.host, "port": omero_place.port}
    if request.param == "tcp":
        if not omero_place.tcp:
            pytest.skip("the server offers no plain TCP")
        options = {"host": omero_place.tcp}
    found = BlitzGateway(seed.users["alice"], seed.password, group=seed.groups["lab"], secure=True, **options)
    assert found.connect(), found.getLastError()
    yield found
    found.close()


def test_the_tree_of_containers(gateway: BlitzGateway, seed: Seed) -> None:
    image = seed.images["lab"]
    project = gateway.getObject("Project", image.project)
    datasets = list(project.listChildren())
    assert [d.id for d in datasets] == [image.dataset]
    assert image.id in [i.id for i in datasets[0].listChildren()]
    assert gateway.getObject("Image", image.id).getProject().id == image.project


def test_an_image_with_sizes_channels_and_owner(gateway: BlitzGateway, seed: Seed) -> None:
    image = gateway.getObject("Image", seed.images["lab"].id)
    sizes = [getattr(image, f"getSize{axis}")() for axis in "TCZYX"]
    assert sizes == list(seed.images["lab"].array.shape)
    assert (image.getPixelSizeX(), image.getPixelSizeY(), image.getPixelSizeZ()) == (0.125, 0.25, 0.5)
    assert [c.getLabel() for c in image.getChannels()] == ["DAPI", "GFP"]
    assert image.getOwner().getName() == seed.users["alice"]
    assert image.canEdit()


def test_planes_and_tiles(gateway: BlitzGateway, seed: Seed) -> None:
    array = seed.images["lab"].array
    pixels = gateway.getObject("Image", seed.images["lab"].id).getPrimaryPixels()
    np.testing.assert_array_equal(pixels.getPlane(2, 1, 1), array[1, 1, 2])
    tile = next(iter(pixels.getTiles([(0, 0, 1, (10, 5, 20, 8))])))
    np.testing.assert_array_equal(tile, array[1, 0, 0, 5:13, 10:30])


def test_a_new_image_from_planes(gateway: BlitzGateway) -> None:
    planes = asymmetric((4, 20, 30), "uint8")
    dataset = omero.gateway.DatasetWrapper(gateway, omero.model.DatasetI())
    dataset.setName("planes")
    dataset.save()
    made = gateway.createImageFromNumpySeq(iter(planes), "planes", sizeZ=2, sizeC=2, dataset=dataset)
    assert [i.id for i in dataset.listChildren()] == [made.id]
    # The order of the planes is z, then c, then t from the innermost out.
    np.testing.assert_array_equal(made.getPrimaryPixels().getPlane(1, 0, 0), planes[2])


def test_annotations_by_namespace_and_value(gateway: BlitzGateway, seed: Seed) -> None:
    image = gateway.getObject("Image", seed.images["lab"].id)
    note = omero.gateway.MapAnnotationWrapper(gateway)
    note.setNs("clients.map")
    note.setValue([["key", "value"], ["key", "other"]])
    note.save()
    image.linkAnnotation(note)
    assert gateway.getObject("Image", image.id).getAnnotation("clients.map").getValue() == [
        ("key", "value"),
        ("key", "other"),
    ]
    found = gateway.getObjectsByMapAnnotations("Image", key="key", value="other", ns="clients.map")
    assert [i.id for i in found] == [image.id]
    gateway.deleteObjects("Annotation", [note.getId()], wait=True)


def test_a_file_up_and_down(gateway: BlitzGateway, seed: Seed, tmp_path: Path) -> None:
    path = tmp_path / "up[1].txt"
    path.write_bytes(bytes(range(256)) * 40)
    attached = gateway.createFileAnnfromLocalFile(str(path), mimetype="text/plain", ns="clients.file")
    again = gateway.getObject("FileAnnotation", attached.getId())
    assert b"".join(again.getFileInChunks()) == path.read_bytes()
    assert again.getFile().getName() == "up[1].txt"


def test_pictures_show_the_image(gateway: BlitzGateway, seed: Seed) -> None:
    image = gateway.getObject("Image", seed.images["lab"].id)
    picture = image.renderImage(0, 0)
    assert picture.size == (64, 48)
    assert np.asarray(picture).std() > 5
    assert Image.open(io.BytesIO(image.getThumbnail((32, 24)))).size == (32, 24)


def test_objects_in_pages_and_order(gateway: BlitzGateway, seed: Seed) -> None:
    every = sorted(e.getValue() for e in gateway.getEnumerationEntries("PixelsType"))
    assert "uint16" in every
    options = {"dataset": seed.images["lab"].dataset, "limit": 1, "order_by": "lower(obj.name)"}
    assert len(list(gateway.getObjects("Image", opts=options))) == 1
    named = gateway.getObjects("Project", attributes={"name": "project of alice"})
    assert seed.images["lab"].project in [p.id for p in named]


def test_acting_for_a_user(omero_place: Place, seed: Seed) -> None:
    service = BlitzGateway(seed.service, seed.password, host=omero_place.host, port=omero_place.port, secure=True)
    assert service.connect(), service.getLastError()
    user = service.suConn(seed.users["bob"], group=seed.groups["lab"], ttl=60_000)
    assert user.getUser().getName() == seed.users["bob"]
    assert user.getGroupFromContext().getName() == seed.groups["lab"]
    user.c.killSession()
    user.close()
    service.close()


def test_the_gateway_keeps_the_images_of_a_deleted_dataset_unless_told(gateway: BlitzGateway) -> None:
    for children in (False, True):
        made = omero.gateway.DatasetWrapper(gateway, omero.model.DatasetI())
        made.setName("doomed")
        made.save()
        planes = iter(asymmetric((1, 4, 6), "uint8"))
        image = gateway.createImageFromNumpySeq(planes, "in it", dataset=made)
        gateway.deleteObjects("Dataset", [made.id], deleteChildren=children, wait=True)
        assert (gateway.getObject("Image", image.id) is None) == children


def test_leaving_nothing_behind_when_a_container_is_deleted(gateway: BlitzGateway) -> None:
    made = omero.gateway.DatasetWrapper(gateway, omero.model.DatasetI())
    made.setName("temporary")
    made.save()
    gateway.deleteObjects("Dataset", [made.id], wait=True)
    assert gateway.getObject("Dataset", made.id) is None
