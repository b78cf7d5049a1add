"""The chat page's event handlers: each takes a tab's session, changes it, and returns what the page shows then."""
