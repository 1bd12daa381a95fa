"""Labels and images -> tables in physical units, and overview pictures."""

from noyau.measurement.boxes import boxes_in, merge_boxes, objects_of
from noyau.measurement.columns import Column, columns_for
from noyau.measurement.table import Table, concatenate
from noyau.measurement.volume import measure, measure_volume

__all__ = [
    "Column",
    "Table",
    "boxes_in",
    "columns_for",
    "concatenate",
    "measure",
    "measure_volume",
    "merge_boxes",
    "objects_of",
]
