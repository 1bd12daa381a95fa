"""Datasets, targets, augmentation, loop, synthetic nuclei, evaluation."""
