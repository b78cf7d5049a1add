"""Benchmarks of the training loop: the effect of feedback, and the error rates of the gate and live comparisons."""
