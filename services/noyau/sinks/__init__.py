"""Labels, tables, pictures and provenance -> where the image lives."""
