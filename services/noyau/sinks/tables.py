"""Tables as Parquet and CSV bytes, and the attributes of an ngio feature table."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from noyau.domain.errors import InternalError

LABEL = "label"


def to_arrow(columns: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> pa.Table:
    """An Arrow table; `label` becomes the first column, int64.

    Args:
        columns: equally long; numbers, booleans or texts.
        metadata: small texts kept in the schema.

    Raises:
        InternalError: no `label` column, or columns of different lengths.
    """
    lengths = {len(values) for values in columns.values()}
    if LABEL not in columns or len(lengths) != 1:
        raise InternalError(f"A table needs a column '{LABEL}' and columns of one length, got {sorted(lengths)}.")
    order = [LABEL, *(name for name in columns if name != LABEL)]
    arrays = {name: pa.array(_plain(name, np.asarray(columns[name]))) for name in order}
    table = pa.table(arrays)
    return table.replace_schema_metadata({k: str(v) for k, v in (metadata or {}).items()}) if metadata else table


def to_parquet(table: pa.Table) -> bytes:
    """Parquet, zstd-compressed."""
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def from_parquet(data: bytes) -> dict[str, np.ndarray]:
    """The columns of a table that `to_parquet` wrote."""
    table = pyarrow.parquet.read_table(pa.BufferReader(data))
    return {name: column.to_numpy() for name, column in zip(table.column_names, table.columns, strict=True)}


def to_csv(table: pa.Table) -> bytes:
    """CSV with a header; values that do not exist are empty, texts are quoted only where they must be."""
    sink = io.BytesIO()
    blank = [_without_nan(column) for column in table.columns]
    # pyarrow quotes every name of a header; most readers prefer them plain.
    sink.write((",".join(_quoted(name) for name in table.column_names) + "\n").encode())
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    pyarrow.csv.write_csv(pa.table(blank, names=table.column_names), sink, options)
    return sink.getvalue()


def feature_table_attributes(labels: str) -> dict[str, Any]:
    """Attributes of the group that make it a feature table of the label group `labels` for ngio and Fractal.

    Source: Fractal table specification, feature table version 1, Parquet backend.
    """
    return {
        "type": "feature_table",
        "table_version": "1",
        "backend": "parquet",
        "index_key": LABEL,
        "index_type": "int",
        "instance_key": LABEL,
        "region": {"path": f"../labels/{labels}"},
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(c in name for c in ',"\n') else name


def _plain(name: str, values: np.ndarray) -> np.ndarray:
    if name == LABEL:
        return values.astype(np.int64)
    return values.astype(values.dtype.newbyteorder("=")) if values.dtype.kind in "iuf" else values


def _without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(column.type):
        return column
    return pa.chunked_array(
        [pa.array(chunk.to_numpy(zero_copy_only=False), from_pandas=True) for chunk in column.chunks], type=column.type
    )
