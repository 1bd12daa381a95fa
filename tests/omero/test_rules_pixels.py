"""Rules of the server about pixels: bytes are big-endian, nothing outside the image, one reader for each store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import omero
import pytest
from omero_seed import Seed, asymmetric, make_image, pixels_id


@pytest.fixture
def store(login: Callable[..., Any], seed: Seed) -> Any:
    opened = login("alice", "lab").sf.createRawPixelsStore()
    opened.setPixelsId(seed.images["lab"].pixels, False)
    return opened


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_planes_are_big_endian_in_every_type(login: Callable[..., Any], dtype: str) -> None:
    array = asymmetric((1, 2, 2, 5, 7), dtype)
    client = login("alice", "lab")
    pixels = pixels_id(client, make_image(client, array))
    store = client.sf.createRawPixelsStore()
    store.setPixelsId(pixels, False)
    got = np.frombuffer(store.getPlane(1, 1, 0), array.dtype.newbyteorder(">")).reshape(5, 7)
    store.close()
    np.testing.assert_array_equal(got, array[0, 1, 1])


@pytest.mark.parametrize("tls", [False, True])
def test_the_same_bytes_over_tcp_and_tls(login: Callable[..., Any], seed: Seed, tls: bool) -> None:
    image = seed.images["lab"]
    store = login("alice", "lab", tls=tls).sf.createRawPixelsStore()
    store.setPixelsId(image.pixels, False)
    got = np.frombuffer(store.getPlane(2, 0, 1), ">u2").reshape(48, 64)
    np.testing.assert_array_equal(got, image.array[1, 0, 2])


def test_a_tile_is_a_rectangle_of_the_plane(store: Any, seed: Seed) -> None:
    got = np.frombuffer(store.getTile(1, 0, 1, 10, 5, 20, 8), ">u2").reshape(8, 20)
    np.testing.assert_array_equal(got, seed.images["lab"].array[1, 0, 1, 5:13, 10:30])


def test_a_hypercube_is_a_block_in_the_order_x_y_z_c_t(store: Any, seed: Seed) -> None:
    data = store.getHypercube([3, 2, 1, 0, 0], [10, 7, 2, 2, 1], [1, 1, 1, 1, 1])
    got = np.frombuffer(data, ">u2").reshape(1, 2, 2, 7, 10)
    np.testing.assert_array_equal(got, seed.images["lab"].array[0:1, 0:2, 1:3, 2:9, 3:13])


@pytest.mark.parametrize("place", [(3, 0, 0), (0, 2, 0), (0, 0, 2), (-1, 0, 0)])
def test_a_plane_outside_is_a_wrong_use(store: Any, place: tuple[int, int, int]) -> None:
    with pytest.raises(omero.ApiUsageException):
        store.getPlane(*place)


@pytest.mark.parametrize("box", [(60, 0, 20, 8), (0, 47, 8, 2), (-1, 0, 4, 4), (0, 0, 0, 4)])
def test_a_tile_outside_is_a_wrong_use(store: Any, box: tuple[int, int, int, int]) -> None:
    with pytest.raises(omero.ApiUsageException):
        store.getTile(0, 0, 0, *box)


def test_a_block_outside_is_a_wrong_use(store: Any) -> None:
    with pytest.raises(omero.ApiUsageException):
        store.getHypercube([0, 0, 2, 0, 0], [4, 4, 2, 1, 1], [1, 1, 1, 1, 1])


def test_a_plane_of_the_wrong_size_is_a_resource_error(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    store = client.sf.createRawPixelsStore()
    store.setPixelsId(pixels_id(client, make_image(client, asymmetric((1, 1, 1, 4, 6), "uint16"))), False)
    with pytest.raises(omero.ResourceError):
        store.setPlane(b"\0" * 10, 0, 0, 0)


def test_a_store_without_pixels_is_a_wrong_use(login: Callable[..., Any]) -> None:
    with pytest.raises(omero.ApiUsageException):
        login("alice", "lab").sf.createRawPixelsStore().getPlane(0, 0, 0)


def test_one_store_does_not_serve_two_threads(
    login: Callable[..., Any], seed: Seed, faults: Callable[..., Any]
) -> None:
    client = login("alice", "lab")
    store = client.sf.createRawPixelsStore()
    store.setPixelsId(seed.images["lab"].pixels, False)
    # Both: which of the two calls gets to the store first is for the server's threads to say.
    faults(kind="slow inside", seconds=4.0, operation="RawPixelsStore.*", times=2)
    refused = []

    def read() -> None:
        try:
            store.getPlane(0, 0, 0)
        except omero.InternalException as error:
            refused.append(error.message)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert "not re-entrant" in refused[0]


def test_pixels_of_others_are_not_writable(login: Callable[..., Any], seed: Seed) -> None:
    store = login("bob", "lab").sf.createRawPixelsStore()
    store.setPixelsId(seed.images["lab"].pixels, False)
    with pytest.raises(omero.SecurityViolation):
        store.setPlane(bytes(48 * 64 * 2), 0, 0, 0)


def test_hidden_pixels_cannot_be_opened(login: Callable[..., Any], seed: Seed) -> None:
    store = login("alice", "private").sf.createRawPixelsStore()
    with pytest.raises(omero.SecurityViolation):
        store.setPixelsId(seed.images["private"].pixels, False)


@pytest.mark.parametrize("sizes", [(0, 5, 1, 1), (5, 5, 0, 1)])
def test_an_image_of_size_zero_is_refused(login: Callable[..., Any], sizes: tuple[int, int, int, int]) -> None:
    client = login("alice", "lab")
    kind = client.sf.getTypesService().getEnumeration("PixelsType", "uint8")
    with pytest.raises(omero.ValidationException):
        client.sf.getPixelsService().createImage(*sizes, [0], kind, "empty", None)


def test_the_server_stores_tiles_of_256(login: Callable[..., Any], store: Any) -> None:
    assert list(store.getTileSize()) == [64, 48]
    client = login("alice", "lab")
    kind = client.sf.getTypesService().getEnumeration("PixelsType", "uint8")
    image = client.sf.getPixelsService().createImage(700, 300, 1, 1, [0], kind, "wide", None).val
    wide = client.sf.createRawPixelsStore()
    wide.setPixelsId(pixels_id(client, image), False)
    assert list(wide.getTileSize()) == [256, 256]


def test_an_image_without_channels_is_refused(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    kind = client.sf.getTypesService().getEnumeration("PixelsType", "uint8")
    with pytest.raises(omero.ValidationException):
        client.sf.getPixelsService().createImage(4, 4, 1, 1, [], kind, "empty", None)


def test_a_big_plane_has_smaller_versions(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    kind = client.sf.getTypesService().getEnumeration("PixelsType", "uint8")
    image = client.sf.getPixelsService().createImage(4096, 3200, 1, 1, [0], kind, "big", None).val
    store = client.sf.createRawPixelsStore()
    store.setPixelsId(pixels_id(client, image), False)
    assert store.requiresPixelsPyramid()
    sizes = [(d.sizeX, d.sizeY) for d in store.getResolutionDescriptions()]
    assert sizes[0] == (4096, 3200)
    assert sizes == sorted(sizes, reverse=True)
    assert store.getResolutionLevel() == store.getResolutionLevels() - 1
    store.setResolutionLevel(store.getResolutionLevels() - 2)
    assert len(store.getTile(0, 0, 0, 0, 0, *sizes[1])) == sizes[1][0] * sizes[1][1]
