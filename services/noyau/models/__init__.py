"""Model packages, registry and networks."""
