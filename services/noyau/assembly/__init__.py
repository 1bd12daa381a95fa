"""Canonical renumbering, merging of unit results, pyramids."""
