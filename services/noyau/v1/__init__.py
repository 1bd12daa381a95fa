"""Generated from proto/noyau/v1 by noyau.api.generate; only `api` and `client` import it."""
