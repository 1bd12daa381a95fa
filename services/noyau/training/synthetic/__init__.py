"""Seeded synthetic nuclei: a scene of labelled shapes, a texture, and the optics that blur and spoil it."""

from noyau.training.synthetic.recipe import Recipe, recipe_named, recipe_names
from noyau.training.synthetic.volume import SyntheticVolume, generate

__all__ = ["Recipe", "SyntheticVolume", "generate", "recipe_named", "recipe_names"]
