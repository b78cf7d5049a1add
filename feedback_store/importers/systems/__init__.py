"""One file for each other system: its `read` yields what it finds in a file of that system."""
