"""Generated from proto/noyau/v1 by proto/generate.sh; only `api` and `client` import it."""
