"""The connection is dropped at every call of a full segmentation job in turn: each time one complete set of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from noyau.omero.gateway import Gateway
from noyau.pipelines import segment
from omero_kit import PASSWORD_ENV, results_on, rows, server_of
from omero_place import Place
from omero_seed import Seed
from omero_segment_kit import Bench, world

PARTS = 4
"""The calls are spread over this many tests, so that they can run side by side."""

WRITES = (
    "createSessionWithTimeouts createImage saveObject saveAndReturnObject saveAndReturnIds setTile save write "
    "newTable initialize addData closeSession setChannelGlobalMinMax close"
)
"""Operations after which nobody knows whether they took place when their answer is lost."""


@pytest.fixture(scope="module")
def networks() -> Iterable[Any]:
    yield from world.warm_networks.__wrapped__()


@pytest.fixture
def bench(
    omero_place: Place,
    seed: Seed,
    login: Callable[..., Any],
    tmp_path: Path,
    networks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Bench]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed, patience=30.0)]) as gateway:
        yield Bench(world.Workshop(tmp_path, networks), gateway, seed, login)


def run(bench: Bench, image: int) -> Any:
    """A job with every kind of result, from logging in to logging out."""
    result = segment.run(bench.spec(image, measure=True, label_image="always"), bench.context())
    bench.gateway.release()
    return result


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("kind", "operations"), [("drop", "*"), ("drop after", WRITES)])
def test_whenever_the_connection_is_lost_the_results_are_complete(
    bench: Bench, omero_place: Place, faults: Callable[..., Any], seed: Seed, kind: str, operations: str, part: int
) -> None:
    pixels = world.make_world((1, 26, 30)).image
    dataset = seed.images["lab"].dataset
    image = bench.image(pixels, dataset=dataset)
    omero_place.order("/calls", method="GET")
    nuclei = run(bench, image).nuclei
    calls = omero_place.order("/calls", method="GET")
    assert nuclei >= 3
    numbers = [
        n for n, call in enumerate(calls, 1) if operations == "*" or call.rpartition(".")[2] in operations.split()
    ]
    assert len(numbers) >= 2 * PARTS
    for number in numbers[part::PARTS]:
        image = bench.image(pixels, dataset=dataset)
        faults(kind=kind, at=number)
        run(bench, image)
        omero_place.order("/faults/clear")
        client = bench.login("alice", "lab")
        told = f"{kind} at call {number}, {calls[number - 1]}"
        assert results_on(client, image) == {"rois": nuclei, "annotations": 4, "label_images": 1}, told
        files = rows(client, "select f.id from OriginalFile f where f.name like :t", t=f"noyau-image-{image}-%")
        assert len(files) == 3, told
        client.closeSession()
