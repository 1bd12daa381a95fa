"""Dense predictions -> objects."""
