"""`FeedbackStore`: conversations, feedback, raters, training usage, counts and verification."""
