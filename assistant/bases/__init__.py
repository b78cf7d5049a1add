"""The bases that versions are made on: what a base is, where its files lie, and how they are read."""
