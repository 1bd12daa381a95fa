"""Frozen values, protocols and the error tree. Imports no other room."""
