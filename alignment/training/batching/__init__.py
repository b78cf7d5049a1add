"""How rows make batches, and how batches go through the model."""
