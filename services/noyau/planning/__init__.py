"""Grids, halos and write units; pure functions."""
