"""Tiles in, dense quantised predictions out."""
