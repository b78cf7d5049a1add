"""How the embedded starter model is made: its corpus, its tasks and its recipe."""
