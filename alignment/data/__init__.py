"""Feedback rows and text become token ids."""
