"""What feedback teaches, and how often the gate and live comparisons are wrong."""
