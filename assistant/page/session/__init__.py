"""What the server keeps for one open browser tab."""
