"""Suggestions in OMERO: a ranked table on what was asked about, the rank on each image, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import omero
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, PermissionRefused
from noyau.domain.geometry import Box
from noyau.domain.image import ImageRef
from noyau.omero.gateway import Gateway
from noyau.omero.runs import RUN_NAMESPACE
from noyau.pipelines.context import PipelineContext
from noyau.pipelines.suggest_crops import Crop
from noyau.pipelines.suggest_output import PICTURE, TABLE, Suggestion
from noyau.pipelines.suggest_publication import check_suggestions, publish_suggestions, remove_suggestions
from noyau.training.suggestion_scores import Uncertainty
from omero.rtypes import rstring
from omero_kit import ALIAS, PASSWORD_ENV, new_image, results_on, rows, server_of, visitor_of
from omero_place import Place
from omero_seed import Seed
from test_measure import table_of

Login = Callable[..., Any]
SHAPE = (1, 20, 24)


@pytest.fixture
def gateway(omero_place: Place, seed: Seed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.setenv(PASSWORD_ENV, seed.password)
    with Gateway([server_of(omero_place, seed)]) as opened:
        yield opened


@pytest.fixture
def dataset(login: Login) -> int:
    made = omero.model.DatasetI()
    made.setName(rstring("to annotate"))
    return login("alice", "lab").sf.getUpdateService().saveAndReturnObject(made).id.val


@pytest.fixture
def images(login: Login, dataset: int) -> list[int]:
    return [new_image(login, "alice", "lab", np.zeros((1, 1, *SHAPE), np.uint8), dataset=dataset) for _ in range(3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / TABLE).write_text("rank\n1\n")
    (tmp_path / PICTURE).write_bytes(b"png")
    return tmp_path


def context(gateway: Gateway, seed: Seed, folder: Path, job: str, user: str = "alice") -> PipelineContext:
    nothing: Any = None
    visitor = visitor_of(gateway, seed, user)
    return PipelineContext(nothing, AccessPolicy.everything(), folder, nothing, job_id=job, omero=visitor)


def uri(kind: str, number: int) -> str:
    return f"omero://{ALIAS}/{kind}/{number}"


def ranked(*images: int) -> list[Suggestion]:
    found = []
    for rank, image in enumerate(images, start=1):
        crop = Crop(rank - 1, ImageRef(uri("image", image)), 0, Box.of(SHAPE))
        found.append(Suggestion(rank, crop, Uncertainty(0.9 / rank, 0.5, 0.1, False, 7.5), f"{rank:03d}.ome.zarr"))
    return found


def test_the_table_and_the_ranks_are_there(
    gateway: Gateway, seed: Seed, login: Login, dataset: int, images: list[int], folder: Path
) -> None:
    here = context(gateway, seed, folder, "one")
    output = uri("dataset", dataset)
    check_suggestions(output, False, here)
    best = ranked(images[2], images[0])
    record = {"looked_at": 3, "models": [{"model": "m@1"}]}
    files, told = publish_suggestions(output, best, record, folder, here, overwrite=False)
    assert files[:2] == (uri("image", images[2]), uri("image", images[0]))
    assert told == ()
    client = login("alice", "lab")
    table = table_of(client, "Dataset", dataset)
    assert (table["Image"], table["rank"]) == ([images[2], images[0]], [1, 2])
    assert table["score"][0] > table["score"][1]
    assert [results_on(client, image)["annotations"] for image in images] == [1, 0, 1]
    hql = "select a.id from ImageAnnotationLink l join l.child a where l.parent.id = :id and a.ns = :ns"
    marker = rows(client, hql, id=images[0], ns=RUN_NAMESPACE)[0][0]
    values = {p.name: p.value for p in client.sf.getQueryService().get("MapAnnotation", marker).getMapValue()}
    assert values["rank"] == "2"
    again, _ = publish_suggestions(output, best, record, folder, here, overwrite=False)
    assert again[:2] == files[:2]
    assert [results_on(client, image)["annotations"] for image in images] == [1, 0, 1]


def test_earlier_suggestions_are_replaced_only_on_request(
    gateway: Gateway, seed: Seed, login: Login, dataset: int, images: list[int], folder: Path
) -> None:
    output = uri("dataset", dataset)
    publish_suggestions(output, ranked(images[0]), {}, folder, context(gateway, seed, folder, "one"), overwrite=False)
    later = context(gateway, seed, folder, "two")
    with pytest.raises(AlreadyExists, match="one"):
        check_suggestions(output, False, later)
    check_suggestions(output, True, later)
    publish_suggestions(output, ranked(images[0]), {}, folder, later, overwrite=True)
    client = login("alice", "lab")
    assert results_on(client, images[0])["annotations"] == 1
    texts = rows(
        client,
        "select a.description from DatasetAnnotationLink l join l.child a where l.parent.id = :id",
        id=dataset,
    )
    assert len(texts) == 4 and all(text.startswith("noyau run two/suggestions ") for (text,) in texts)


def test_a_failed_job_takes_everything_back(
    gateway: Gateway, seed: Seed, login: Login, dataset: int, images: list[int], folder: Path, faults: Any
) -> None:
    here = context(gateway, seed, folder, "one")
    faults(kind="refuse", operation="IUpdate.saveAndReturnObject", at=2)
    with pytest.raises(PermissionRefused):
        publish_suggestions(uri("dataset", dataset), ranked(images[1]), {}, folder, here, overwrite=False)
    client = login("alice", "lab")
    assert results_on(client, images[1])["annotations"] == 1
    places = [uri("image", image) for image in images]
    remove_suggestions(uri("dataset", dataset), places, here)
    assert results_on(client, images[1])["annotations"] == 0
    assert rows(client, "select f.id from OriginalFile f where f.name like :t", t=f"noyau-dataset-{dataset}-%") == []


def test_what_may_not_be_noted_is_told_or_refused(
    gateway: Gateway, seed: Seed, login: Login, dataset: int, folder: Path
) -> None:
    here = context(gateway, seed, folder, "one")
    theirs = seed.images["readonly"]
    with pytest.raises(PermissionRefused, match="--output"):
        check_suggestions(uri("dataset", theirs.dataset), False, here)
    _, told = publish_suggestions(uri("dataset", dataset), ranked(theirs.id), {}, folder, here, overwrite=False)
    assert f"Image:{theirs.id} is suggested" in told[0]
