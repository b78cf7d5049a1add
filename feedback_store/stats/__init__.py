"""Statistics of the feedback, as text, JSON and plots."""
