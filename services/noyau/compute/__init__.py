"""How work is spread over threads and, later, hosts."""
