"""Training: rows go in, a version comes out."""
