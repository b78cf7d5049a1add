"""What scores an answer: reward models and reward functions."""
