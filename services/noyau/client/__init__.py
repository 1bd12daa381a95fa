"""Python client of the service."""
