"""One module for each other system, whose `read` yields the conversations in a file of that system."""
