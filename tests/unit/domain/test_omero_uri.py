"""Names of things in OMERO, and the selection that a URI may carry."""

from __future__ import annotations

import pytest
from noyau.domain.errors import InvalidInput
from noyau.domain.image import ImageRef
from noyau.domain.omero_uri import OmeroUri, is_omero, parse_omero, select


@pytest.mark.parametrize("kind", ["project", "dataset", "screen", "plate", "well", "image"])
def test_targets_are_read_and_written(kind: str) -> None:
    uri = parse_omero(f"omero://lab.one/{kind}/42?c=1")
    assert uri == OmeroUri("lab.one", kind, 42)
    assert str(uri) == f"omero://lab.one/{kind}/42"
    assert uri.is_set == (kind != "image")
    assert uri.title == f"{kind.capitalize()}:42"


@pytest.mark.parametrize(
    "uri",
    [
        "omero://lab/image",
        "omero://lab/image/0",
        "omero://lab/image/-3",
        "omero://lab/image/3/4",
        "omero://lab/folder/3",
        "omero:///image/3",
        "omero://user:pw@lab/image/3",
        "omero://lab/image/3\n",
        "omero://lab/image/99999999999999999999",
        "/data/image.zarr",
    ],
)
def test_anything_else_is_refused(uri: str) -> None:
    with pytest.raises(InvalidInput):
        parse_omero(uri)


def test_the_scheme_is_recognised_in_any_case() -> None:
    assert is_omero("OMERO://lab/image/1")
    assert parse_omero("OMERO://lab/image/1") == OmeroUri("lab", "image", 1)
    assert not is_omero("/data/omero://")


def test_the_query_selects_channel_time_and_level() -> None:
    found = select(ImageRef("omero://lab/image/7?c=DAPI%20%5B1%5D&t=0-4&level=2"))
    assert found == ImageRef("omero://lab/image/7", "DAPI [1]", (0, 4), 2)
    assert select(ImageRef("omero://lab/image/7?c=1&t=3")) == ImageRef("omero://lab/image/7", 1, (3, 3))
    assert select(ImageRef("omero://lab/image/7", "GFP", (1, 2), 1)) == ImageRef(
        "omero://lab/image/7", "GFP", (1, 2), 1
    )


def test_the_same_selection_twice_is_fine_and_two_are_not() -> None:
    assert select(ImageRef("omero://lab/image/7?c=1", 1)).channel == 1
    with pytest.raises(InvalidInput, match="contradicts"):
        select(ImageRef("omero://lab/image/7?c=1", 2))


@pytest.mark.parametrize("query", ["c", "c=", "t=a", "t=1-", "z=3", "level=-1", "c=1&c=2", "&", "t=1-2-3"])
def test_a_query_that_says_nothing_is_refused(query: str) -> None:
    with pytest.raises(InvalidInput):
        select(ImageRef(f"omero://lab/image/7?{query}"))
