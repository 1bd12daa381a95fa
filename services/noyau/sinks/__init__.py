"""Labels, tables, pictures and provenance -> OME-Zarr, complete or not at all."""

from noyau.sinks.labels import LabelSink
from noyau.sinks.results import ResultSink, ResultUris
from noyau.sinks.target import Target, preflight, target_for

__all__ = ["LabelSink", "ResultSink", "ResultUris", "Target", "preflight", "target_for"]
