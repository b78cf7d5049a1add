"""Serving: a version goes in, replies come out."""
