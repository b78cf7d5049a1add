"""Parsing shared by all importers: file formats, field types, and the conversations and feedback made of them."""
