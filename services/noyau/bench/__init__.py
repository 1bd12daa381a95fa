"""Measurements behind `noyau bench`, side by side in one run."""
