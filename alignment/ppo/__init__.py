"""The parts of our PPO: losses, models, training loop, saved state."""
