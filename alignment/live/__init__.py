"""Live comparison of two versions and its sequential test."""
