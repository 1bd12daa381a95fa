"""Labels into the OME-Zarr behind an image: where both servers allow it, complete or not at all, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.axes import Axes
from noyau.domain.errors import AlreadyExists, FailedPrecondition, PermissionRefused
from noyau.domain.geometry import Box
from noyau.domain.omero_uri import OmeroUri, parse_omero
from noyau.omero.cleaning import remove_run
from noyau.omero.gateway import Gateway
from noyau.omero.images import MULTISCALES
from noyau.omero.runs import Run
from noyau.omero.truth import read_truth
from noyau.pipelines import measure, segment
from noyau.pipelines.zarr_labels import withdraw_zarr_labels
from noyau.sources.labels import list_labels, open_labels
from noyau.sources.raster import Raster
from noyau.sources.writing import write_image
from noyau.storage.store import Store
from omero import model
from omero.rtypes import rlong, rstring
from omero_kit import ALIAS, PASSWORD_ENV, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed
from omero_segment_kit import Bench, world
from test_measure import spec as to_measure

Login = Callable[..., Any]
EVERYTHING = AccessPolicy.everything()


@pytest.fixture(scope="module")
def networks() -> Iterable[Any]:
    yield from world.warm_networks.__wrapped__()


@pytest.fixture
def bench(
    omero_place: Place, seed: Seed, login: Login, tmp_path: Path, networks: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed, zarr_labels=True)]) as gateway:
        yield Bench(world.Workshop(tmp_path, networks), gateway, seed, login)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.asarray(world.make_world((14, 40, 44)).image)


@pytest.fixture
def zarr(tmp_path: Path, pixels: np.ndarray) -> Path:
    path = tmp_path / "behind.ome.zarr"
    raster = Raster(pixels, Axes("zyx"), {"z": 1.0, "y": 1.0, "x": 1.0}, ("a",))
    write_image(Store(str(path)), raster, "image", "0.5", lambda: None)
    return path


def backed(bench: Bench, pixels: np.ndarray, path: Path) -> int:
    """A new image of Alice's that is said to be this Zarr."""
    image = bench.image(pixels)
    client = bench.login("alice", "lab")
    found = client.sf.getQueryService().get("Image", image)
    info = model.ExternalInfoI()
    info.setEntityId(rlong(3))
    info.setEntityType(rstring(MULTISCALES))
    info.setLsid(rstring(str(path)))
    found.getDetails().setExternalInfo(info)
    client.sf.getUpdateService().saveObject(found)
    return image


def stored(path: Path) -> np.ndarray:
    with open_labels(str(path), name="nuclei", access=EVERYTHING) as labels:
        return labels.read(Box.of(labels.info.shape))


def test_the_labels_are_in_the_zarr_and_omero_says_where(bench: Bench, pixels: np.ndarray, zarr: Path) -> None:
    image = backed(bench, pixels, zarr)
    done = segment.run(bench.spec(image, label_image="zarr"), bench.context(job_id="one"))
    place = f"{zarr}/labels/nuclei"
    assert done.images[0].labels_uri == place
    assert place in done.warnings[0]
    client = bench.login("alice", "lab")
    assert results_on(client, image) == {"rois": done.nuclei + 1, "annotations": 2, "label_images": 0}
    uri = OmeroUri(ALIAS, "image", image)
    session = visitor_of(bench.gateway, bench.seed, "alice").at(uri)
    drawn = read_truth(session, uri, pixels.shape).labels
    assert drawn.max() == done.nuclei > 3
    assert (stored(zarr) == drawn).all()
    marker = client.sf.getQueryService().get("MapAnnotation", parse_omero(done.images[0].provenance_uri).id)
    assert {p.name: p.value for p in marker.getMapValue()}["Zarr labels"] == place
    hql = "select e.entityType, e.lsid from Shape s join s.details.externalInfo e where s.roi.image.id = :id"
    assert rows(client, hql, id=image) == [[MULTISCALES, place]]
    assert measure.run(to_measure(image), bench.context(job_id="two")).nuclei == done.nuclei


def test_a_service_does_it_only_where_an_operator_says_so(
    bench: Bench, pixels: np.ndarray, zarr: Path, omero_place: Place, seed: Seed
) -> None:
    image = backed(bench, pixels, zarr)
    with Gateway([server_of(omero_place, seed)]) as careful:
        context = replace(bench.context(), omero=visitor_of(careful, seed, "alice"))
        with pytest.raises(FailedPrecondition, match=r"(?s)does not write.*`zarr_labels`"):
            segment.run(bench.spec(image, label_image="zarr"), context)
    assert list_labels(str(zarr), access=EVERYTHING) == ()


def test_what_may_not_be_written_is_refused_before_the_work(bench: Bench, pixels: np.ndarray, zarr: Path) -> None:
    image = backed(bench, pixels, zarr)
    wanted = bench.spec(image, label_image="zarr")
    with pytest.raises(PermissionRefused, match="may change"):
        segment.run(wanted, bench.context(user="bob"))
    elsewhere = bench.context()
    elsewhere = replace(elsewhere, access=AccessPolicy((str(elsewhere.workdir),)))
    with pytest.raises(FailedPrecondition, match="cannot be used"):
        segment.run(wanted, elsewhere)
    with pytest.raises(FailedPrecondition, match=r"(?s)no OME-Zarr.*--label-image always"):
        segment.run(bench.spec(bench.image(pixels), label_image="zarr"), bench.context())
    with pytest.raises(FailedPrecondition, match="another shape"):
        segment.run(bench.spec(backed(bench, pixels[:4], zarr), label_image="zarr"), bench.context())
    assert list_labels(str(zarr), access=EVERYTHING) == ()


def test_labels_of_others_stay_unless_they_may_be_replaced(bench: Bench, pixels: np.ndarray, zarr: Path) -> None:
    image = backed(bench, pixels, zarr)
    segment.run(bench.spec(image, label_image="zarr"), bench.context(job_id="one"))
    other = backed(bench, pixels, zarr)
    with pytest.raises(AlreadyExists, match="nuclei"):
        segment.run(bench.spec(other, label_image="zarr"), bench.context(job_id="two"))
    segment.run(bench.spec(image, label_image="zarr", overwrite=True), bench.context(job_id="three"))
    assert Store(str(zarr)).read_json("labels/nuclei/zarr.json")["attributes"]["noyau"]["job"] == "three"


def test_a_failed_job_takes_its_labels_back(
    bench: Bench, pixels: np.ndarray, zarr: Path, faults: Callable[..., Any]
) -> None:
    image = backed(bench, pixels, zarr)
    wanted, context = bench.spec(image, label_image="zarr"), bench.context()
    faults(kind="refuse", operation="IUpdate.saveAndReturnObject")
    with pytest.raises(PermissionRefused):
        segment.run(wanted, context)
    assert stored(zarr).any()
    segment.cleanup(wanted, context)
    assert list_labels(str(zarr), access=EVERYTHING) == ()
    assert not (zarr / "labels" / "nuclei").exists()
    assert results_on(bench.login("alice", "lab"), image) == {"rois": 0, "annotations": 0, "label_images": 0}


def test_what_is_removed_says_where_the_labels_are(bench: Bench, pixels: np.ndarray, zarr: Path) -> None:
    image = backed(bench, pixels, zarr)
    segment.run(bench.spec(image, label_image="zarr"), bench.context(job_id="one"))
    uri = OmeroUri(ALIAS, "image", image)
    session = visitor_of(bench.gateway, bench.seed, "alice").at(uri)
    done = session.call(lambda line: remove_run(line, uri, Run("one", "nuclei")), "removing")
    assert done.zarr == (f"{zarr}/labels/nuclei",)
    assert not withdraw_zarr_labels(str(zarr), "nuclei", "another", EVERYTHING)
    assert stored(zarr).any()
    assert withdraw_zarr_labels(str(zarr), "nuclei", "one", EVERYTHING)
    assert list_labels(str(zarr), access=EVERYTHING) == ()
