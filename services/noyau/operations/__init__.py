"""What operators need: settings checked at the start, `noyau doctor`, and figures for Prometheus."""
