"""The table of measurements: one row per object, named columns of equal length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noyau.domain.errors import InvalidInput


@dataclass(frozen=True)
class Table:
    """Columns of equal length, in order; rows are sorted by label.

    Attributes:
        columns: name -> values, shape (rows,).
    """

    columns: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        if len({len(values) for values in self.columns.values()}) > 1:
            raise InvalidInput("The columns of a table differ in length.")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> np.ndarray:
        """A column by name; raises InvalidInput when it is not there."""
        if name not in self.columns:
            raise InvalidInput(f"The table has no column '{name}'.", f"It has {', '.join(self.columns)}.")
        return self.columns[name]

    def row(self, label: int) -> dict[str, float]:
        """One object's values by column name; raises InvalidInput when the label is not there."""
        found = np.flatnonzero(self["label"] == label)
        if len(found) == 0:
            raise InvalidInput(f"The table has no object {label}.")
        return {name: values[found[0]].item() for name, values in self.columns.items()}

    def with_columns(self, added: Mapping[str, np.ndarray]) -> Table:
        """The table with more columns at its end (or some replaced)."""
        return Table({**self.columns, **added})


def concatenate(tables: Sequence[Table]) -> Table:
    """One table below the other, e.g. of several time points; all need the same columns.

    Raises:
        InvalidInput: there are no tables, or their columns differ.
    """
    if not tables or any(list(t.columns) != list(tables[0].columns) for t in tables):
        raise InvalidInput("Tables can be put together only when there are any and all have the same columns.")
    return Table({name: np.concatenate([t.columns[name] for t in tables]) for name in tables[0].columns})
