"""One file for each service that clients call."""
