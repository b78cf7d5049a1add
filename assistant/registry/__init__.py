"""Versions on disk: list, open, add, release, roll back; a home's first version; live comparison."""
