"""Open Inference Protocol, generated from proto/inference by noyau.api.generate; only `api` imports it."""
