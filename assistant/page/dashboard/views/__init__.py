"""The dashboard as HTML, one module a view."""
