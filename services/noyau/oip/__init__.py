"""Open Inference Protocol, generated from proto/inference by proto/generate.sh; only `api` imports it."""
