"""What the stages share: opening the parent, checkpoints, curves, dry runs, writing the child."""
