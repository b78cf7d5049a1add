"""The chat page as HTML, made from templates."""
