"""Tiles in, quantised dense predictions out."""
