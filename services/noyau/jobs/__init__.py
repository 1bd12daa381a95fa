"""Durable jobs: store, leases, recovery, events, worker processes."""
