"""Labels and images -> tables in physical units, and overview pictures."""
