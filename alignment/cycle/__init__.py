"""The retraining cycle: new feedback, candidates, comparison, gate, release, report."""
