"""Versions on disk: list, open, add, release and roll back; the first version of a home; live comparison."""
