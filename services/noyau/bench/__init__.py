"""Measurements behind `noyau bench`, side by side in one run."""

from noyau.bench.rows import Row
from noyau.bench.run import NAMES, run

__all__ = ["NAMES", "Row", "run"]
