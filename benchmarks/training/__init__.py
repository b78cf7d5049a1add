"""Speed and memory of training stages, beside plain TRL."""
