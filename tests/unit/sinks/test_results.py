"""Tables, pictures and provenance beside the labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from noyau.domain.access import AccessPolicy
from noyau.domain.errors import AlreadyExists, InternalError
from noyau.sinks import ResultSink
from noyau.sinks.tables import to_arrow, to_csv

Snapshot = Callable[[Path], dict[str, bytes]]
COLUMNS = {
    "volume_um3": np.array([1.5, np.nan, 3.25]),
    "label": np.array([3, 1, 2], np.uint32),
    "border": np.array([True, False, True]),
    "class": np.array(["a", "b,c", "d"]),
}


def create(image: Path, access: AccessPolicy, job: str = "job1", overwrite: bool = False) -> ResultSink:
    return ResultSink.create(str(image), "nuclei", access=access, job=job, overwrite=overwrite)


def write(sink: ResultSink, model: str = "m@1") -> ResultSink:
    sink.write_table(COLUMNS, {"model": model})
    sink.write_overview(b"\x89PNG")
    sink.write_provenance({"model": model})
    return sink


def test_everything_is_where_it_is_said_to_be(image: Path, access: AccessPolicy) -> None:
    uris = write(create(image, access)).commit()
    table = pyarrow.parquet.read_table(uris.parquet)
    assert table.column_names == ["label", "volume_um3", "border", "class"]
    assert table["label"].to_pylist() == [3, 1, 2] and table.schema.metadata[b"model"] == b"m@1"
    csv = pyarrow.csv.read_csv(uris.csv)
    assert csv.column_names == table.column_names and csv["class"].to_pylist() == ["a", "b,c", "d"]
    assert csv["volume_um3"].to_pylist() == [1.5, None, 3.25]
    assert Path(uris.overview).read_bytes() == b"\x89PNG"
    assert json.loads(Path(uris.provenance).read_text()) == {"model": "m@1"}
    assert (Path(uris.table) / "table.parquet").exists()


def test_what_was_not_written_has_no_uri(image: Path, access: AccessPolicy) -> None:
    sink = create(image, access)
    sink.write_provenance({})
    uris = sink.commit()
    assert (uris.table, uris.csv, uris.parquet, uris.overview) == ("", "", "", "") and uris.provenance


def test_abort_leaves_nothing(image: Path, access: AccessPolicy, snapshot: Snapshot) -> None:
    before = snapshot(image)
    write(create(image, access)).abort()
    assert snapshot(image) == before


def test_existing_results(image: Path, access: AccessPolicy, snapshot: Snapshot) -> None:
    write(create(image, access)).commit()
    before = snapshot(image)
    with pytest.raises(AlreadyExists):
        create(image, access, job="job2")
    write(create(image, access, job="job2", overwrite=True), "other").abort()
    assert snapshot(image) == before
    write(create(image, access, job="job2", overwrite=True), "other").commit()
    assert json.loads((image / "noyau/nuclei/provenance.json").read_text()) == {"model": "other"}
    write(create(image, access, job="job2"), "again").commit()
    assert sorted(p.name for p in (image / "noyau").iterdir() if p.is_dir()) == ["nuclei"]


def test_a_table_needs_labels_and_equal_lengths() -> None:
    with pytest.raises(InternalError):
        to_arrow({"a": np.zeros(2)})
    with pytest.raises(InternalError):
        to_arrow({"label": np.zeros(2, int), "a": np.zeros(3)})


def test_a_table_without_rows_keeps_its_header() -> None:
    table = to_arrow({"label": np.zeros(0, np.uint32), "volume_um3": np.zeros(0)})
    assert to_csv(table) == b"label,volume_um3\n"


def test_floats_survive_the_csv_exactly() -> None:
    values = np.random.default_rng(0).normal(size=100) * 1e7
    table = to_arrow({"label": np.arange(100), "v": values})
    back = pyarrow.csv.read_csv(pyarrow.BufferReader(to_csv(table)))
    np.testing.assert_array_equal(back["v"].to_numpy(), values)
