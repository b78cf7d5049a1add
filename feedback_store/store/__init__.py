"""The store: conversations, votes, raters, training usage, verification."""
