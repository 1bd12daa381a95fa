"""Rules of the server about files and tables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import Ice
import omero
import omero.grid
import pytest
from omero import model
from omero.rtypes import rlong, rstring
from omero_seed import Seed


@pytest.fixture
def client(login: Callable[..., Any]) -> Any:
    return login("alice", "lab")


def new_file(client: Any, name: str = "a.csv") -> int:
    file = model.OriginalFileI()
    file.setName(rstring(name))
    file.setPath(rstring("/"))
    return int(client.sf.getUpdateService().saveAndReturnObject(file).id.val)


def new_table(client: Any, columns: list[Any]) -> Any:
    resources = client.sf.sharedResources()
    repository = resources.repositories().descriptions[0].id.val
    table = resources.newTable(repository, "/tests/table.h5")
    table.initialize(columns)
    return table


def test_a_file_keeps_its_bytes_size_and_hash(client: Any) -> None:
    number = new_file(client)
    data = bytes(range(256)) * 20
    store = client.sf.createRawFileStore()
    store.setFileId(number)
    store.write(data[:3000], 0, 3000)
    store.write(data[3000:], 3000, len(data) - 3000)
    saved = store.save()
    assert saved.size.val == len(data)
    assert saved.hash.val == hashlib.sha1(data).hexdigest()
    assert bytes(store.read(0, len(data))) == data
    store.close()


def test_past_the_end_there_are_zeros(client: Any) -> None:
    store = client.sf.createRawFileStore()
    store.setFileId(new_file(client))
    store.write(b"abc", 0, 3)
    assert bytes(store.read(1, 6)) == b"bc\0\0\0\0"
    assert bytes(store.read(100, 2)) == b"\0\0"
    store.close()


def test_a_closed_file_is_gone(client: Any) -> None:
    store = client.sf.createRawFileStore()
    store.setFileId(new_file(client))
    store.close()
    with pytest.raises(Ice.ObjectNotExistException):
        store.size()


def test_a_file_of_somebody_else_is_read_only(client: Any, login: Callable[..., Any]) -> None:
    number = new_file(client)
    store = login("bob", "lab").sf.createRawFileStore()
    store.setFileId(number)
    with pytest.raises(omero.SecurityViolation):
        store.write(b"x", 0, 1)


def test_open_services_are_counted_until_they_are_closed(client: Any) -> None:
    before = len(client.sf.activeServices())
    stores = [client.sf.createRawFileStore() for _ in range(3)]
    assert len(client.sf.activeServices()) == before + 3
    for store in stores:
        store.close()
    assert len(client.sf.activeServices()) == before


def test_a_table_keeps_rows_of_every_kind_of_column(client: Any) -> None:
    columns = [
        omero.grid.LongColumn("label", "", [3, 1]),
        omero.grid.DoubleColumn("volume", "", [1.5, float("nan")]),
        omero.grid.StringColumn("name", "", 16, ["a[b]", "\u00e4"]),
        omero.grid.RoiColumn("roi", "", [7, 9]),
        omero.grid.ImageColumn("Image", "", [5, 5]),
        omero.grid.BoolColumn("edge", "", [True, False]),
    ]
    table = new_table(client, columns)
    table.addData(columns)
    file = table.getOriginalFile()
    table.close()
    again = client.sf.sharedResources().openTable(file)
    got = again.read(list(range(6)), 0, again.getNumberOfRows())
    again.close()
    assert list(got.columns[0].values) == [3, 1]
    assert got.columns[1].values[0] == 1.5
    assert got.columns[2].values == ["a[b]", "\u00e4"]
    assert isinstance(got.columns[3], omero.grid.RoiColumn)
    assert [c.name for c in got.columns] == ["label", "volume", "name", "roi", "Image", "edge"]


def test_a_condition_without_an_end_looks_at_the_first_row_only(client: Any) -> None:
    columns = [omero.grid.LongColumn("label", "", [5, 6, 6])]
    table = new_table(client, columns)
    table.addData(columns)
    assert list(table.getWhereList("(label == 6)", None, 0, 0, 0)) == []
    assert list(table.getWhereList("(label == 6)", None, 0, table.getNumberOfRows(), 0)) == [1, 2]
    table.close()


def test_a_text_longer_than_its_column_is_refused(client: Any) -> None:
    columns = [omero.grid.StringColumn("name", "", 4, ["toolong"])]
    table = new_table(client, columns)
    with pytest.raises(omero.ValidationException):
        table.addData(columns)
    table.close()


def test_a_new_table_is_in_the_group_of_the_session(client: Any, seed: Seed) -> None:
    resources = client.sf.sharedResources()
    there = {"omero.group": str(seed.group_ids["open"])}
    table = resources.newTable(resources.repositories().descriptions[0].id.val, "/tests/group.h5", there)
    file = table.getOriginalFile()
    table.close()
    found = client.sf.getQueryService().get("OriginalFile", file.id.val, {"omero.group": "-1"})
    assert found.details.group.id.val == seed.group_ids["lab"]


def test_the_size_of_a_table_is_known_once_it_is_closed(client: Any) -> None:
    columns = [omero.grid.LongColumn("label", "", list(range(100)))]
    table = new_table(client, columns)
    table.addData(columns)
    file = table.getOriginalFile()
    table.close()
    found = client.sf.getQueryService().get("OriginalFile", file.id.val)
    assert found.size.val > 100 * 8
    assert len(found.hash.val) == 40
    assert found.mimetype.val == "OMERO.tables"


def test_rows_of_a_table_of_somebody_else_are_read_only(client: Any, login: Callable[..., Any]) -> None:
    columns = [omero.grid.LongColumn("label", "", [1])]
    table = new_table(client, columns)
    table.addData(columns)
    file = table.getOriginalFile()
    table.close()
    theirs = login("bob", "lab").sf.sharedResources().openTable(file)
    assert theirs.getNumberOfRows() == 1
    with pytest.raises(omero.ServerError):
        theirs.addData(columns)
    theirs.close()


def test_a_table_that_is_not_there_is_refused(client: Any) -> None:
    with pytest.raises(omero.ServerError):
        client.sf.sharedResources().openTable(model.OriginalFileI(rlong(10**9), False))
