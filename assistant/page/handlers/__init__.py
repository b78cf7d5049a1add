"""The chat page's event handlers: from a click to new component values."""
