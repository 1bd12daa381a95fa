"""Merging of what blocks found, and canonical numbers."""
