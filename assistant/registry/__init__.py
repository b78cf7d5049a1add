"""Versions on disk: list, open, add, release, roll back; their bases; a home's first version; live comparison."""
