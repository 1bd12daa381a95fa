"""Rules of the server about queries: what HQL it takes, what it refuses and how, which types columns have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import omero
import pytest
from omero.rtypes import rdouble, rint, rlist, rlong, rstring, unwrap
from omero_seed import Seed, asymmetric, make_image, roi_with_mask


@pytest.fixture
def query(login: Callable[..., Any]) -> Any:
    return login("alice", "lab").sf.getQueryService()


def params(**values: Any) -> Any:
    found = omero.sys.ParametersI()
    found.map = values
    return found


@pytest.mark.parametrize(
    "text",
    [
        "select i from Image",
        "select i from Imag i",
        "select i from Image i where i.nam = 'x'",
        "select i from Image i where j.id = 1",
        "select i from Image i where",
        "select i from Image i where i.id = :absent",
        "select i from Image i limit 3",
        "select i from Image i left outer join fetch i.pixels p with p.sizeX > 3",
        "select i.id from Image i join fetch i.pixels",
        "select i from Image i where i.pixels.sizeX = 3",
        "select i from Image i where i.name ~ 'x'",
    ],
)
def test_a_bad_text_is_a_query_exception(query: Any, text: str) -> None:
    with pytest.raises(omero.QueryException):
        query.findAllByQuery(text, None)


@pytest.mark.parametrize("value", [rint(1), rstring("1"), rdouble(1)])
def test_the_wrong_type_for_a_column_is_an_internal_error(query: Any, value: Any) -> None:
    with pytest.raises(omero.InternalException):
        query.findAllByQuery("select i from Image i where i.id = :x", params(x=value))


def test_the_wrong_type_in_a_list_is_an_internal_error(query: Any) -> None:
    with pytest.raises(omero.InternalException):
        query.findAllByQuery("select i from Image i where i.id in (:x)", params(x=rlist([rint(1)])))


def test_a_text_for_an_int_column_is_an_internal_error(query: Any) -> None:
    with pytest.raises(omero.InternalException):
        query.projection("select p.id from Pixels p where p.sizeX = :x", params(x=rlong(64)))


def test_an_empty_list_is_a_wrong_use(query: Any) -> None:
    with pytest.raises(omero.ApiUsageException):
        query.findAllByQuery("select i from Image i where i.id in (:x)", params(x=rlist([])))


def test_too_many_ids_are_an_internal_error(query: Any) -> None:
    numbers = rlist([rlong(n) for n in range(33_000)])
    with pytest.raises(omero.InternalException):
        query.findAllByQuery("select i from Image i where i.id in (:x)", params(x=numbers))


def test_many_ids_are_found(query: Any, seed: Seed) -> None:
    numbers = rlist([rlong(n) for n in range(20_000)])
    found = query.projection("select i.id from Image i where i.id in (:x)", params(x=numbers))
    assert seed.images["lab"].id in [unwrap(row[0]) for row in found]


def test_distinct_sorted_by_something_that_is_not_selected_is_refused(query: Any) -> None:
    text = "select distinct i.id from Image i join i.details.owner o order by o.omeName"
    with pytest.raises(omero.InternalException):
        query.projection(text, None)


def test_distinct_sorted_by_what_is_selected_is_fine(query: Any, seed: Seed) -> None:
    rows = query.projection("select distinct i.name from Image i order by i.name", None)
    names = [unwrap(row[0]) for row in rows]
    assert names == sorted(set(names))
    assert "cells of alice" in names


def test_bytes_cannot_be_a_column(query: Any) -> None:
    with pytest.raises(omero.ApiUsageException):
        query.projection("select m.bytes from Mask m", None)


def test_columns_have_the_types_of_the_database(query: Any, seed: Seed) -> None:
    text = "select p.id, p.sizeX, p.sha1, p.physicalSizeX.value, p.image.id from Pixels p where p.id = :id"
    row = query.projection(text, params(id=rlong(seed.images["lab"].pixels)))[0]
    assert [type(c).__name__.removesuffix("I") for c in row] == ["RLong", "RInt", "RString", "RDouble", "RLong"]
    assert unwrap(row[1]) == 64


def test_counts_are_longs_and_averages_doubles(query: Any, seed: Seed) -> None:
    text = "select count(p), avg(p.sizeX), max(p.sizeX), sum(p.sizeX) from Pixels p where p.id = :id"
    row = query.projection(text, params(id=rlong(seed.images["lab"].pixels)))[0]
    assert [type(c).__name__.removesuffix("I") for c in row] == ["RLong", "RDouble", "RInt", "RLong"]
    assert unwrap(row) == [1, 64.0, 64, 64]


def test_grouping_and_having(query: Any, seed: Seed) -> None:
    text = (
        "select p.id, count(c.id) from Channel c join c.pixels p where p.id = :id"
        " group by p.id having count(c.id) > :least"
    )
    wanted = params(id=rlong(seed.images["lab"].pixels), least=rlong(1))
    assert unwrap(query.projection(text, wanted)) == [[seed.images["lab"].pixels, 2]]
    wanted.map["least"] = rlong(2)
    assert query.projection(text, wanted) == []


def test_a_map_for_each_row(query: Any, seed: Seed) -> None:
    text = "select new map(i.id as id, i.name as name, i.details.permissions as rights) from Image i where i.id = :id"
    row = query.projection(text, params(id=rlong(seed.images["lab"].id)))[0][0].val
    assert unwrap(row["name"]) == "cells of alice"
    assert unwrap(row["rights"])["canEdit"]


def test_in_a_map_an_object_under_the_name_of_permissions_is_the_rights_on_it(query: Any, seed: Seed) -> None:
    text = "select new map(i.id as id, i as image_details_permissions) from Image i where i.id = :id"
    row = query.projection(text, params(id=rlong(seed.images["lab"].id)))[0][0].val
    assert unwrap(row["image_details_permissions"])["canDelete"]


def test_classes_have_their_full_names(query: Any, seed: Seed) -> None:
    text = "select type(i.class), i.fileset.id from Image i where i.id = :id"
    wanted = params(id=rlong(seed.images["lab"].id))
    assert unwrap(query.projection(text, wanted)) == [["ome.model.core.Image", None]]


def test_subqueries_exists_and_case(query: Any, seed: Seed) -> None:
    image = seed.images["lab"].id
    text = (
        "select i.id,"
        " case when exists (select l from DatasetImageLink l where l.child.id = i.id) then 'in' else 'out' end"
        " from Image i where i.id in (select p.image.id from Pixels p where p.sizeX = :x)"
        " and lower(i.name) like 'cells%'"
        " and not i.id is null and i.id between :low and :high"
    )
    wanted = params(x=rint(64), low=rlong(image), high=rlong(image))
    assert unwrap(query.projection(text, wanted)) == [[image, "in"]]


def test_limit_and_offset_come_with_the_filter(query: Any) -> None:
    page = omero.sys.ParametersI().page(1, 2)
    every = [unwrap(r[0]) for r in query.projection("select e.id from PixelsType e order by e.id", None)]
    some = [unwrap(r[0]) for r in query.projection("select e.id from PixelsType e order by e.id", page)]
    assert some == every[1:3]


def test_null_sorts_last_and_compares_with_nothing(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    for text in (None, "b", "a"):
        note = omero.model.CommentAnnotationI()
        note.setNs(rstring("null-order"))
        note.setTextValue(None if text is None else rstring(text))
        client.sf.getUpdateService().saveObject(note)
    query = client.sf.getQueryService()
    text = "select a.textValue from CommentAnnotation a where a.ns = 'null-order' order by a.textValue"
    assert [unwrap(r[0]) for r in query.projection(text, None)] == ["a", "b", None]
    text = "select a.textValue from CommentAnnotation a where a.ns = 'null-order' and a.textValue <> 'a'"
    assert [unwrap(r[0]) for r in query.projection(text, None)] == ["b"]


def test_several_keys_sort_each_in_its_direction(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    for name, text in (("b", "1"), ("a", "2"), ("b", "3"), ("a", "4")):
        note = omero.model.CommentAnnotationI()
        note.setNs(rstring("sorted"))
        note.setDescription(rstring(name))
        note.setTextValue(rstring(text))
        client.sf.getUpdateService().saveObject(note)
    text = "select a.textValue from CommentAnnotation a where a.ns = 'sorted' order by a.description desc, a.textValue"
    assert [unwrap(r[0]) for r in client.sf.getQueryService().projection(text, None)] == ["1", "3", "2", "4"]


def test_what_is_not_fetched_is_a_reference(query: Any, seed: Seed) -> None:
    text = "select p from Pixels p where p.id = :id"
    pixels = query.findByQuery(text, params(id=rlong(seed.images["lab"].pixels)))
    assert not pixels.image.loaded
    assert pixels.image.id.val == seed.images["lab"].id
    with pytest.raises(omero.UnloadedEntityException):
        pixels.image.getName()
    with pytest.raises(omero.ClientError):
        pixels.copyChannels()


def test_what_is_fetched_is_loaded_once_for_each_root(query: Any, seed: Seed) -> None:
    text = (
        "select p from Pixels p join fetch p.channels c join fetch c.logicalChannel join fetch p.image where p.id = :id"
    )
    found = query.findAllByQuery(text, params(id=rlong(seed.images["lab"].pixels)))
    assert len(found) == 1
    assert [c.logicalChannel.name.val for c in found[0].copyChannels()] == ["DAPI", "GFP"]
    assert found[0].image.name.val == "cells of alice"


def test_a_condition_on_a_fetched_collection_filters_it(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    image = make_image(client, asymmetric((1, 1, 1, 4, 6), "uint8"))
    roi = roi_with_mask(image, 0, 0, asymmetric((2, 3), "uint8") > 100, z=0)
    extra = roi_with_mask(image, 1, 1, asymmetric((2, 3), "uint8") > 100, z=1).copyShapes()[0]
    roi.addShape(extra)
    saved = client.sf.getUpdateService().saveAndReturnObject(roi)
    assert len(saved.copyShapes()) == 2
    text = "select r from Roi r join fetch r.shapes s where r.id = :id and s.theZ = 0"
    found = client.sf.getQueryService().findByQuery(text, params(id=saved.id))
    assert [s.theZ.val for s in found.copyShapes()] == [0]


def test_a_path_to_nothing_drops_the_row(login: Callable[..., Any]) -> None:
    client = login("alice", "lab")
    note = omero.model.CommentAnnotationI()
    note.setNs(rstring("no-file"))
    client.sf.getUpdateService().saveObject(note)
    query = client.sf.getQueryService()
    assert len(query.projection("select a.id from Annotation a where a.ns = 'no-file'", None)) == 1
    assert query.projection("select a.file.name from FileAnnotation a where a.ns = 'no-file'", None) == []


def test_two_results_are_not_one(query: Any) -> None:
    with pytest.raises(omero.ApiUsageException):
        query.findByQuery("select e from PixelsType e", None)


def test_values_are_not_objects(query: Any) -> None:
    with pytest.raises(omero.ValidationException):
        query.findAllByQuery("select i.id from Image i", None)


@pytest.mark.unknown_on_purpose
def test_an_unknown_function_is_refused_and_remembered(query: Any, omero_place: Any) -> None:
    with pytest.raises(omero.ServerError):
        query.projection("select sinh(i.id) from Image i", None)
    if omero_place.control:
        assert omero_place.order("/violations", method="GET") == ["HQL function sinh()"]


@pytest.mark.unknown_on_purpose
def test_an_operation_that_is_not_simulated_is_refused_and_remembered(query: Any, omero_place: Any) -> None:
    if not omero_place.control:
        pytest.skip("a real server knows it")
    with pytest.raises(omero.InternalException, match="not simulated"):
        query.findAllByFullText("Image", "cells", None)
    assert omero_place.order("/violations", method="GET") == ["operation IQuery.findAllByFullText"]
