"""Noyau: finds, outlines and measures cell nuclei where the images live."""
